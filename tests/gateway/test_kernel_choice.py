"""Which engine a gateway goes on with that takes over the interface of the process before it."""

from __future__ import annotations

from culvert.driver.user_engine import Choice
from culvert.gateway.kernel_choice import as_before

USER = Choice(None, "pure Python")
IPSEC = Choice(None, "the kernel's own IPsec (XFRM)", ipsec=True, user=USER)


def test_sessions_in_user_space_stay_there_though_the_kernel_could_now() -> None:
    found = as_before(IPSEC)
    assert found.name == "python"
    assert "the process before this one" in found.reason
    assert as_before(USER) is USER
