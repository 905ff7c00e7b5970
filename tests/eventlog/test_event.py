"""A log event cannot hold what must not be logged."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.errors import MisuseError
from culvert.eventlog.event import LogEvent
from culvert.secret import Secret

HIDDEN = "correct horse"


@pytest.mark.parametrize(
    "value",
    [Secret(HIDDEN), (Secret(HIDDEN),), HIDDEN.encode(), [HIDDEN], {"a": HIDDEN}, None],
    ids=["secret", "secret in a tuple", "octets", "list", "mapping", "none"],
)
def test_only_text_and_numbers_enter(value: Any) -> None:
    with pytest.raises(MisuseError) as refused:
        LogEvent("xauth.answered", {"user": "ann", "password": value})
    assert "'password'" in str(refused.value)
    assert HIDDEN not in str(refused.value)


def test_a_secret_does_not_enter_later_either() -> None:
    smuggled: Any = Secret(HIDDEN)
    with pytest.raises(MisuseError):
        LogEvent("xauth.answered", {"user": "ann"}).with_fields(password=smuggled)


def test_correlation_keys_do_not_replace_fields() -> None:
    event = LogEvent("client.up", {"profile": "office"}).with_fields(profile="x", connection="y")
    assert event == LogEvent("client.up", {"profile": "office", "connection": "y"})
