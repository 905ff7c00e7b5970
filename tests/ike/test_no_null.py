"""Protection cannot be configured away: no suite is without authentication."""

from __future__ import annotations

import pytest

from culvert.errors import ConfigError
from culvert.gateway.config import problems
from culvert.ike.suite import AUTHENTICATION, EspSuite, IkeSuite
from culvert.profile.profile import InvalidProfile, Profile
from culvert.tables.algorithms import ESP_CIPHERS, INTEGRITIES

NOTHING = ("null", "none", "no", "")


@pytest.mark.requirement("S1-170")
def test_no_null_authentication_can_be_configured() -> None:
    for cipher in ESP_CIPHERS:
        if cipher.aead:
            continue
        for integrity in NOTHING:
            name = f"{cipher.token}-{integrity}".rstrip("-")
            with pytest.raises(ConfigError):
                EspSuite.named(name)
            with pytest.raises(InvalidProfile):
                Profile("n", "192.0.2.1", group="g", phase2=(name,), legacy=("aggressive-psk",))
            told = problems(f'[gateway]\nphase2 = ["{name}"]\n', "gateway.toml")
            assert any("phase2" in one.what or "proposal" in one.what for one in told)
    assert all(row.key_octets for row in INTEGRITIES)


def test_every_way_to_authenticate_proves_both_ends() -> None:
    for way in AUTHENTICATION.values():
        assert {way.proof_i, way.proof_r} <= {"hash", "signature"}
        # A hash without a key in common proves nobody: then XAUTH has to.
        proves_nobody = way.skeyid == "signature" and way.proof_i == "hash"
        assert not proves_nobody or way.xauth
        assert way.skeyid == "psk" or way.proof_r == "signature"
        assert IkeSuite.named("aes128-sha1-modp1024", way.name).authentication is way
