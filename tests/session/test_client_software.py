"""Client type and version out of APPLICATION_VERSION."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.session.client_software import LONGEST, client_software


@pytest.mark.requirement("S4-43")
@pytest.mark.parametrize(
    ("application", "shown"),
    [
        ("Cisco Systems VPN Client 3.6.1 (Rel):WinNT", ("WinNT", "3.6.1 (Rel)")),
        ("Cisco Systems VPN Client 0.5.3:Linux", ("Linux", "0.5.3")),
        ("Cisco Systems VPN Client 4.8.00 (0490) : Linux", ("Linux", "4.8.00 (0490)")),
        ("something else", ("", "something else")),
        ("", ("", "")),
        ("bad\x1b[2J 1:x\n", ("x", "1")),
    ],
)
def test_type_and_version_are_told_apart(application: str, shown: tuple[str, str]) -> None:
    assert client_software(application) == shown


@given(st.text(max_size=300))
def test_whatever_a_stranger_writes_is_short_and_printable(application: str) -> None:
    shown = client_software(application)
    assert all(len(part) <= LONGEST and part.isprintable() for part in shown)
