"""The gateway of one caller: the same core, told by a record what it shares with others.

A gateway's core serves everybody. What one caller's share in it depends on - chance, SKEYID, the
turn of its SPIs, whether there is room for a session, which address is free - is asked here of the
record in place of what stands in the real one, and is one of its inputs (decision 0186).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast

from culvert import __version__
from culvert.driver.handing import Codec
from culvert.driver.record import KIND, VERSION, Fed, RecordError, octets_of
from culvert.driver.record_papers import said, shown_again
from culvert.effects import Effect
from culvert.errors import CulvertError
from culvert.gateway.caller import Caller
from culvert.gateway.config import GatewayConfig, LiveSettings, RestartSettings
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.masking import Masking
from culvert.gateway.parts import FORMS
from culvert.gateway.sessions import CallersSessions
from culvert.identity.certificates.rules import Purpose, Rules
from culvert.ike.outputs import AskConfiguration, GroupKey
from culvert.ike.spis import Spis
from culvert.ike.wire.identity import Identity
from culvert.inet.address import Path
from culvert.orders.certificates import Shown
from culvert.policy.refused import Refused
from culvert.policy.site import Site
from culvert.rng import Random
from culvert.session.table import SessionTable
from culvert.vault.trust import Trust

SIDE = "gateway"
COMMANDS = ("ended", "closed", "announce")
OF_OTHERS = frozenset(("session-limit", "duplicate-limit", "no-address"))
"""Refusals that depend on who else is here."""

GROUP, TURN, ADMISSION = "a group", "the turn of an SPI", "an admission"
"""What a core asks of what callers share."""


class OneCaller(IpsecGateway):
    """``fed`` holds the answers of the record."""

    def __init__(
        self,
        config: GatewayConfig,
        fed: Fed,
        *,
        began: tuple[datetime, float],
        bare_esp: bool,
        certificate: Shown | None,
        authorities: tuple[bytes, ...],
    ) -> None:
        table = ToldTable(limit=0)
        super().__init__(
            config,
            table,
            ToldKeys(fed),
            fed,
            began=began,
            bare_esp=bare_esp,
            certificate=certificate,
            authorities=authorities,
        )
        self._sessions = ToldSessions(config, table, self._at, fed)
        self._endpoint.spis = ToldSpis(fed)

    def masked(self, octets: bytes, path: Path, masking: Masking, *, now: float) -> bytes:
        """What the record has in place of a datagram. Raises UnmaskableError."""
        return masking.received(octets, path, self._endpoint, now=now)

    # --- commands of a record ----------------------------------------------------------------

    def ended(self, word: str, *, now: float) -> list[Effect]:
        """Somebody ended the session: its number, and the reason."""
        number, _, reason = word.partition(" ")
        return self.logout(int(number), reason, now=now)

    def closed(self, reason: str, *, now: float) -> list[Effect]:
        """The gateway says goodbye to everybody."""
        return self.shutdown(reason, now=now)


class ToldKeys:
    def __init__(self, fed: Fed) -> None:
        self._fed = fed

    def skeyid(
        self, identity: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes
    ) -> GroupKey:
        del identity  # who it is was said to the real one
        skeyid = self._fed.derive(hash_name, b"", nonce_i + nonce_r)
        return GroupKey(skeyid, str(self._fed.ask(GROUP)))


class ToldSpis(Spis):
    def __init__(self, fed: Fed) -> None:
        super().__init__()
        self._fed = fed

    def draw(self, rng: Random, beside: int = 0) -> int:
        if not beside:
            turn = self._fed.ask(TURN)
            self._turn = turn - 1 if isinstance(turn, int) else 0
        return super().draw(rng, beside)


class ToldTable(SessionTable):
    def begin_with(self, number: int) -> None:
        """The number of the next session."""
        self._cumulative = number - 1


class ToldSessions(CallersSessions):
    """``at``: wall time of a moment."""

    def __init__(
        self,
        config: GatewayConfig,
        table: ToldTable,
        at: Callable[[float], datetime],
        fed: Fed,
    ) -> None:
        super().__init__(config, table, at)
        self._numbers = table
        self._fed = fed

    def admit(
        self, number: int, caller: Caller, asked: AskConfiguration, now: float
    ) -> Refused | None:
        match self._fed.ask(ADMISSION):
            case [str(reason), str(detail)] if reason in OF_OTHERS:
                return Refused(reason, detail)
            case [int(session), str(address)]:
                self._numbers.begin_with(session)
                # Who had an address last gets it again.
                pool = self.pools[self.groups[caller.group].pool]
                pool.resume((), [(address, caller.user)])
            case _:
                pass  # refused for a reason of its own, which shows again
        return super().admit(number, caller, asked, now)

    def admit_site(self, number: int, caller: Caller, site: Site, now: float) -> Refused | None:
        match self._fed.ask(ADMISSION):
            case [str(reason), str(detail)]:
                return Refused(reason, detail)
            case [int(session), str()]:
                self._numbers.begin_with(session)
            case _:
                pass
        return super().admit_site(number, caller, site, now)


# --- the first line ----------------------------------------------------------------------------


def head(
    config: GatewayConfig,
    *,
    began: tuple[datetime, float],
    bare_esp: bool,
    certificate: Shown | None,
    authorities: tuple[bytes, ...],
    secrets: bool,
) -> Mapping[str, object]:
    """The first line of a record: everything `again` needs, and no secret."""
    codec = Codec((), FORMS)
    restart, live = without_others(config.restart), config.live
    return {
        KIND: VERSION,
        "version": __version__,
        "side": SIDE,
        "secrets": secrets,
        "restart": codec.written(restart, RestartSettings, now=0.0),
        "live": codec.written(live, LiveSettings, now=0.0),
        "began": [began[0].isoformat(), began[1]],
        "bare_esp": bare_esp,
        "certificate": certificate and said(certificate),
        "authorities": [one.hex() for one in authorities],
    }


def without_others(restart: RestartSettings) -> RestartSettings:
    """Nobody is called, nobody's account is known, and no file is named."""
    sites = tuple([replace(site, calls=False, dynamic=False) for site in restart.sites])
    certificates = replace(
        restart.certificates, certificate="", private_key="", client_ca=(), revocation_lists=()
    )
    return replace(restart, sites=sites, accounts=(), certificates=certificates)


def again(first: Mapping[str, object], fed: Fed) -> OneCaller:
    """The core that a record begins with. Raises RecordError."""
    try:
        match first:
            case {
                "side": "gateway",
                "restart": restart,
                "live": live,
                "began": [str(wall), float(second)],
                "bare_esp": bool(bare_esp),
                "certificate": certificate,
                "authorities": authorities,
            }:
                pass
            case _:
                raise RecordError("the first line lacks what a gateway's record begins with")
        codec = Codec((), FORMS)
        config = GatewayConfig(
            "the record",
            cast("RestartSettings", codec.read(restart, RestartSettings, now=0.0)),
            cast("LiveSettings", codec.read(live, LiveSettings, now=0.0)),
            {},
            Trust(Rules((), Purpose.CLIENT)),
        )
        return OneCaller(
            config,
            fed,
            began=(datetime.fromisoformat(wall), second),
            bare_esp=bare_esp,
            certificate=shown_again(certificate),
            authorities=octets_of(authorities),
        )
    except RecordError:
        raise
    except (CulvertError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"the first line makes no sense: {error}") from None
