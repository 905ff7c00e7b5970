"""From the gateway's configuration to what IKE needs of it: for all callers, and for each group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from culvert.gateway.config import GatewayConfig
from culvert.ike.endpoint import Limits
from culvert.ike.natt import EARLY, PREFERENCE, Version
from culvert.ike.proposal import Lifetime
from culvert.ike.settings import GROUP_KEYS, Answered, Role, Settings, Timing
from culvert.ike.suite import AUTHENTICATION, EspSuite, IkeSuite, ike_suites
from culvert.ike.wire.identity import FQDN, USER_FQDN, Identity
from culvert.inet.address import Path
from culvert.policy.group import Group
from culvert.profile.proposal import AGGRESSIVE_PSK

DPD_GRAIN = 1.0
"""Seconds: questions to idle clients go out together, at whole seconds. A thousand of them then
cost a wake-up a second instead of sixty."""

LEAST_BURST = 8000
"""Octets: the least that may be configured, and the least part of one of several workers. An answer
with a chain of certificates must fit."""


def general_settings(
    config: GatewayConfig,
    *,
    bare_esp: bool,
    certified: bool = False,
    authorities: tuple[bytes, ...] = (),
) -> Settings:
    """What counts before a caller has named its group.

    ``bare_esp``: this machine can send ESP without UDP; else encapsulation is forced.
    ``certified``: the gateway has a certificate, without which it proves itself by keys only.
    """
    live = config.live
    ways = [name for name in live.authentication if certified or not AUTHENTICATION[name].signed]
    return Settings(
        Role.RESPONDER,
        Identity.of_address("127.0.0.1"),  # replaced by `identity_at` for each caller
        ike_suites(live.ike_proposals, ways),
        (),
        answered=_answered(config),
        authorities=authorities,
        natt=_natt(live.groups),
        force_encapsulation=not bare_esp,
        application=live.application_version,
        fragmentation=live.ike_fragmentation,
        shows=("altiga",) if live.vpn3000_vendor_id else (),
        reasons=live.alert_when_disconnecting,
        share=config.share,
    )


def _natt(groups: Iterable[Group]) -> tuple[Version, ...]:
    """What any group may use; a group narrows it to its own."""
    used = {version for group in groups for version in group.natt}
    return tuple([version for version in (*PREFERENCE, *EARLY) if version in used])


def with_sites(general: Settings) -> Settings:
    """What an endpoint answers at all that other gateways call; each has settings of its own."""
    suite = IkeSuite.named(general.phase1[0].name, "psk")
    main = general.answered.main | {"psk"}
    answered = replace(general.answered, main=main)
    return replace(general, phase1=(*general.phase1, suite), answered=answered)


def _answered(config: GatewayConfig) -> Answered:
    """Keys of groups in aggressive mode where a group has its switch on, and in main mode where
    there is a group for it; certificates in main mode, and in aggressive mode if enabled."""
    signed = frozenset(row.name for row in AUTHENTICATION.values() if row.signed)
    aggressive = any(AGGRESSIVE_PSK in group.legacy for group in config.live.groups)
    none: frozenset[str] = frozenset()
    return Answered(
        aggressive=(GROUP_KEYS if aggressive else none)
        | (signed if config.live.aggressive_certificates else none),
        main=(GROUP_KEYS if config.restart.main_mode_group else none) | signed,
    )


def group_settings(general: Settings, group: Group) -> Settings:
    """What counts from the moment the group is known."""
    liveness = group.liveness
    return replace(
        general,
        phase2=tuple([EspSuite.named(name) for name in group.esp_proposals]),
        natt=group.natt,
        push=group.push,
        force_encapsulation=general.force_encapsulation or group.natt_force,
        phase1_life=Lifetime(group.ike_life_seconds),
        phase2_life=Lifetime(group.esp_life_seconds, group.esp_life_kilobytes),
        timing=Timing(
            dpd_delay=float(liveness.idle_seconds),
            dpd_retry=float(liveness.retry_seconds),
            dpd_tries=liveness.tries,
            dpd_grain=DPD_GRAIN,
            keepalive=float(group.keepalive_seconds),
        ),
    )


def compresses(config: GatewayConfig) -> bool:
    """Whether packets may be compressed, which not every engine of the data path can."""
    groups = (*config.live.groups, *[site.group for site in config.restart.sites])
    names = {name for group in groups for name in group.esp_proposals}
    return any(EspSuite.named(name).compression for name in names)


def endpoint_limits(config: GatewayConfig) -> Limits:
    """Of several workers each has its part of what protects the machine as a whole."""
    live, workers = config.live, config.share.workers
    burst = -(-live.unproved_burst // workers)
    return Limits(
        half_open=-(-live.half_open_limit // workers),
        per_source=live.half_open_per_source,
        per_port=live.half_open_per_port,
        unproved_rate=-(-live.unproved_rate // workers),
        unproved_burst=max(burst, LEAST_BURST) if workers > 1 else burst,
    )


def identity_at(path: Path, config: GatewayConfig) -> Identity:
    """The configured name, else the address that was called."""
    name = config.live.identity or path.local[0]
    try:
        return Identity.of_address(name)
    except ValueError:
        return Identity(USER_FQDN if "@" in name else FQDN, name.encode())
