"""What a connection proves itself with and whom it believes, from its profile and its files."""

from __future__ import annotations

from culvert.errors import ConfigError
from culvert.identity.certificates.names import OWN_ADDRESS, identity_from
from culvert.identity.certificates.rules import Purpose, Rules, Strictness
from culvert.netio.fetch import Targets
from culvert.profile.profile import AUTHENTICATIONS, Profile
from culvert.vault.credential import authorities, contents, credential
from culvert.vault.trust import Trust


def trust_of(profile: Profile, certificate: bytes, trusted: bytes) -> Trust:
    """``certificate``: our own with its key, PEM; ``trusted``: those of ``ca``, PEM.

    Raises ConfigError for what is missing or wrong, with what to do.
    """
    way = AUTHENTICATIONS[profile.authentication]
    if way.certificate and not certificate:
        raise ConfigError(
            f"certificate is needed with {way.name}: import yours (culvert certificate import "
            "FILE) and name it in the profile"
        )
    signed = not way.group_key
    if signed and not trusted:
        raise ConfigError(
            f"ca is needed with {way.name}: import the certificate of the authority that vouches "
            "for the gateway (culvert certificate import FILE) and name it in the profile"
        )
    try:
        named = profile.remote_id not in ("", OWN_ADDRESS)
        names = [profile.remote_id] if named else profile.hosts
        expected = tuple([identity_from(name) for name in names])
        Targets.of(profile.fetch_targets)
    except ValueError as error:
        raise ConfigError(f"remote_id or fetch_targets: {error}") from error
    rules = Rules(
        authorities(trusted, path="ca") if trusted else (),
        Purpose.GATEWAY,
        expected=expected,
        verify_identity=profile.verify_remote_id,
        legacy=frozenset(profile.legacy),
        revocation=Strictness(profile.revocation),
    )
    own = credential("own", contents(certificate), path="certificate") if certificate else None
    return Trust(rules, own, profile.fetch_targets)
