"""From a profile to what IKE needs of it."""

from __future__ import annotations

from culvert.crypto.packet import packet_suite
from culvert.datapath.mtu import Carriage, inner_mtu
from culvert.identity.certificates.names import identity_from
from culvert.ike.natt import permitted
from culvert.ike.proposal import Lifetime
from culvert.ike.settings import Role, Settings, Timing
from culvert.ike.suite import AUTHENTICATION, EspSuite, ike_suites
from culvert.ike.wire.firewall import Firewall
from culvert.ike.wire.identity import Identity
from culvert.orders.certificates import Shown
from culvert.profile.identifiers import FROM_CERTIFICATE
from culvert.profile.profile import AUTHENTICATIONS, Profile

IKE_PORT, NATT_PORT = 500, 4500
CISCO, PLAIN, OFF = "mode-config", "plain-mode-config", "off"

USUAL_PATH_MTU = 1500

FEWEST_QUESTIONS = 5
QUESTIONS = 20
"""To a gateway that is silent, not more often than each second: at 30 % loss each way all of them
stay unanswered once in a million times, five once in thirty."""


def settings_of(
    profile: Profile,
    application: str,
    *,
    bare_esp: bool,
    certificate: Shown | None = None,
    authorities: tuple[bytes, ...] = (),
) -> Settings:
    """``bare_esp``: this machine can send ESP without UDP; else encapsulation is forced."""
    ways = AUTHENTICATIONS[profile.authentication].methods
    pfs = f"-{profile.pfs}" if profile.pfs else ""
    natt = permitted(profile.nat_traversal, profile.legacy)
    most = 1 if profile.one_proposal else None
    names = profile.remote_id if needs_group_key(profile) else ""
    return Settings(
        Role.INITIATOR,
        _identity(profile, certificate),
        ike_suites(profile.phase1, ways)[:most],
        tuple([EspSuite.named(name + pfs) for name in profile.phase2])[:most],
        exchange=profile.exchange_mode,
        phase1_life=Lifetime(seconds=profile.phase1_lifetime),
        phase2_life=Lifetime(profile.phase2_lifetime, profile.phase2_volume),
        natt=natt,
        force_encapsulation=profile.nat_traversal == "force" or not bare_esp,
        timing=_timing(profile),
        application=application,
        authorities=authorities,
        host_name=profile.host_name,
        firewall=Firewall() if profile.firewall_claim else None,
        provisioned=profile.provisioning in (CISCO, PLAIN),
        unity=profile.provisioning in (CISCO, OFF),
        transport=profile.transport_mode,
        fragmentation=profile.ike_fragmentation,
        over_udp=profile.ipsec_over_udp,
        named=bool(profile.local_id),
        expected=identity_from(names) if names else None,
        verify_identity=profile.verify_remote_id,
    )


def needs_group_key(profile: Profile) -> bool:
    ways = AUTHENTICATIONS[profile.authentication].methods
    return any(AUTHENTICATION[way].skeyid == "psk" for way in ways)


def _identity(profile: Profile, certificate: Shown | None) -> Identity:
    """Who signs is who its certificate says; everybody else names its group. ``local_id`` is
    another name for either."""
    if profile.local_id not in ("", FROM_CERTIFICATE):
        return identity_from(profile.local_id)
    ways = AUTHENTICATIONS[profile.authentication].methods
    signs = any(AUTHENTICATION[way].proof_i == "signature" for way in ways)
    if signs and certificate is not None:
        return certificate.identity
    return Identity.of_group(profile.group)


def _timing(profile: Profile) -> Timing:
    """The profile says how long silence may last; questions share what is left of it."""
    left = max(profile.dpd_timeout - profile.dpd_delay, FEWEST_QUESTIONS)
    tries = min(left, QUESTIONS)
    return Timing(
        dpd_delay=float(profile.dpd_delay),
        dpd_retry=left / tries,
        dpd_tries=tries,
        keepalive=float(profile.keepalive_interval),
        heartbeat=float(profile.heartbeat_interval),
        answer_patience=float(profile.peer_timeout),
    )


def inner_mtu_of(suite: EspSuite, carriage: Carriage, path_mtu: int = USUAL_PATH_MTU) -> int:
    integrity = suite.integrity.name if suite.integrity else ""
    packets = packet_suite(suite.cipher.cipher, integrity)
    return inner_mtu(packets, path_mtu=path_mtu, carriage=carriage)
