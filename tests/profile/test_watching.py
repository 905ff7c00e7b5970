"""Line polling's keys: what a profile may not say of them."""

from __future__ import annotations

import pytest

from culvert.profile.profile import InvalidProfile, Profile

PLAIN = {"host": "vpn.example.com", "group": "staff", "legacy": ("aggressive-psk",)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("polling", ("not-an-address",)),
        ("polling", ("224.0.0.1",)),
        ("polling", ("0.0.0.0",)),  # noqa: S104
        ("polling", ("192.168.3.0/24",)),
        ("polling", ("2001:db8::1",)),
        ("polling", tuple(f"192.168.3.{host}" for host in range(1, 6))),
        ("polling_source", "here"),
        ("polling_interval", 0),
        ("polling_retries", 0),
        ("keepalive", 10_000),
    ],
)
def test_each_mistake_is_named_with_its_key(key: str, value: object) -> None:
    with pytest.raises(InvalidProfile) as caught:
        Profile("office", **{**PLAIN, key: value})  # type: ignore[arg-type]
    assert key in [mistake.key for mistake in caught.value.mistakes]


def test_four_targets_and_keepalive_9999_are_right() -> None:
    targets = tuple(f"192.168.3.{host}" for host in range(1, 5))
    assert Profile("office", **PLAIN, polling=targets, keepalive=9999).polling == targets  # type: ignore[arg-type]
