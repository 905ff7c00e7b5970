"""What of a gateway is handed from one process to the next, class by class.

A class that has state and is not here is not handed over; an attribute that is in neither column
of its class fails a test (tests/gateway/test_parts.py). Whoever changes a row raises `SCHEMA`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network

from culvert.driver.handing import Form, Here, Moment, Part
from culvert.gateway.caller import Attempt, Caller
from culvert.gateway.sessions import CallersSessions
from culvert.gateway.sites import Sites
from culvert.ike.channel import Channel
from culvert.ike.dialogue import ClientDialogue, GatewayDialogue
from culvert.ike.endpoint import Endpoint
from culvert.ike.farewells import Farewell, Farewells
from culvert.ike.informational import Informational
from culvert.ike.keys import Phase1Keys
from culvert.ike.liveness import Liveness
from culvert.ike.natt import EARLY, PREFERENCE, Nat, Version
from culvert.ike.negotiator import Negotiator
from culvert.ike.outputs import Authenticated, Configuration
from culvert.ike.owner import Phase
from culvert.ike.pairs import Pair, Pairs
from culvert.ike.peer import IkeSa
from culvert.ike.phase1 import Phase1
from culvert.ike.proposal import ChosenIke
from culvert.ike.question import Question
from culvert.ike.quick import Agreed, QuickMode
from culvert.ike.retransmit import Answers, Kept, Repeat
from culvert.ike.sealing import Sealing
from culvert.ike.spis import Spis
from culvert.ike.strangers import Strangers
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.timers import Timers
from culvert.ike.warned import Warned
from culvert.ike.wire.config import ConfigMessage
from culvert.ike.wire.identity import Identity
from culvert.inet.address import Address, Path
from culvert.policy.pool import Pool
from culvert.session.ending import Ending, ending
from culvert.session.session import Counters, Kind, Problem, Session, SpiPair, State
from culvert.session.silence import Silence
from culvert.session.table import Closed, SessionTable

SCHEMA = 4
"""Of everything below and of `culvert.datapath.handed`. A process that is handed another one says
so, and the gateway starts cold."""

PARTS = (
    # --- one IKE SA ---
    Part(
        IkeSa,
        {
            "phase": Phase,
            "timers": Here,
            "channel": Here,
            "phase1": Here,
            "pairs": Here,
            "informational": Here,
            "dialogue": Here,
            "negotiator": Here,
            "warned": Here,
            "quirks": frozenset[str],
            "_doubt": tuple[str, str],
        },
        frozenset(("number", "initiator", "exchange", "_rng", "_spis", "_early")),
    ),
    Part(
        Warned,
        {"_suites": dict[str, None], "_untold": dict[str, None], "_told": set[str]},
    ),
    Part(Timers, {"_at": dict[tuple[str, int], Moment], "deadline": Moment}),
    Part(
        Channel,
        {
            "cookie_i": bytes,
            "cookie_r": bytes,
            "path": Path,
            "answers": Here,
            "cuts": bool,
            "_last_cut": int,
            "_sealing": Sealing | None,
            "_keys": Phase1Keys | None,
            "_repeats": dict[int, tuple[Repeat, str]],
            "_seen": dict[int, None],
        },
        frozenset(("out", "_rng", "_timers")),
    ),
    Part(
        Sealing,
        {
            "_keys": Phase1Keys,
            "_phase1_iv": bytes,
            "_chains": OrderedDict[int, bytes],
            "_finished": bool,
            "_heard": bool,
        },
    ),
    Part(
        Repeat,
        {
            "octets": bytes,
            "gives_up": Moment,
            "began": Moment,
            "wait": float,
            "attempts": int,
            "longest": float,
        },
    ),
    Part(Answers, {"_kept": OrderedDict[bytes, Kept]}, frozenset(("_most",))),
    Part(Kept, {"octets": bytes | None, "given": Moment}),
    Part(
        Phase1,
        {
            "features": frozenset[str],
            "nat": Nat,
            "version": Version | None,
            "identity": Identity | None,
            "group": str,
            "name": str,
            "chosen": ChosenIke | None,
            "initial_contact": bool,
            "_question": bytes,
        },
        # The rest, and what the four machines add, is of use until phase 1 is over.
        frozenset(("settings", "proofs", "_owner", "_complaints")),
    ),
    Part(
        Pairs,
        {
            "_live": dict[int, Pair],
            "_last": int,
            "_filling": dict[int, tuple[Moment, int]],
            "_rate": float,
            "_since": dict[int, Moment],
            "_succeeded": set[int],
            "_spare": dict[int, Moment],
        },
        frozenset(("_timers", "_rng")),
    ),
    Part(
        Informational,
        {
            "farewell": bytes,
            "_liveness": Liveness | None,
            "_began": Moment,
            "_announced": int,
            "_believed": int,
        },
        frozenset(("_owner",)),
    ),
    Part(
        Liveness,
        {
            "_delay": float,
            "_grain": float,
            "_retry": float,
            "_tries": int,
            "_sequence": int,
            "_asked": int,
            "_open": bool,
            "_doubts": bool,
            "_asked_at": Moment,
            "_heard": Moment,
            "_expected": int,
            "deadline": Moment,
        },
    ),
    Part(
        GatewayDialogue,
        {
            "_question": bytes,
            "_person_id": int,
            "_status_id": int,
            "_passed": bool | None,
            "_user": str,
            "_checking": bool,
            "_asked_now": Question,
            "_rounds": int,
            "_config": tuple[int, int] | None,
            "_push_id": int,
            "permitted": Configuration | None,
        },
        frozenset(("_owner",)),
    ),
    Part(
        ClientDialogue,
        {
            "_question": bytes,
            "_asked_for": tuple[int, ConfigMessage] | None,
            "_rounds": int,
            "_user": str,
            "_config_id": int,
            "permitted": Configuration | None,
        },
        frozenset(("_owner",)),
    ),
    Part(
        Negotiator,
        {
            "_open": dict[int, QuickMode],
            "_carried": bool,
            "_left": bool,
            "_agreed": dict[int, tuple[int, Agreed]],
        },
        frozenset(("_owner", "_informational", "_spis")),
    ),
    # --- all of them ---
    Part(
        Endpoint,
        {
            "refused": Counter[str],
            "spis": Here,
            "_refusals": Here,
            "_farewells": Here,
            "strangers": Here,
            "_told": dict[str, tuple[Moment, int]],
            "_proposals_since": Moment,
            "_proposals_told": int,
            "_last": int,
        },
        frozenset(
            (
                "settings",
                "chance",
                "_limits",
                "_natt_port",
                "_settings_for",
                # one by one, by `Endpoint.resume`:
                "_sas",
                "_questions",
                # follow from them:
                "_by_cookies",
                "_by_question",
                "_due",
                "_armed",
                # of those who proved nothing yet, and of messages not yet whole:
                "_half_open",
                "_reached",
                "_per_source",
                "_per_port",
                "_pieces",
            )
        ),
    ),
    Part(
        Strangers,
        {"heard": int, "sent": int, "held": int, "waved_off": int},
        # What counts for a moment begins anew.
        frozenset(
            ("_rng", "_rate", "_burst", "_left", "_counted", "_key", "_young", "_old", "_told")
        ),
    ),
    Part(Spis, {"_used": set[int]}, frozenset(("_share", "_turn"))),
    Part(Farewells, {"_kept": OrderedDict[bytes, Farewell]}),
    Part(Farewell, {"octets": bytes, "told": Moment, "times": int}),
    # --- sessions ---
    Part(
        SessionTable,
        {
            "_cumulative": int,
            "_peak": int,
            "_refused": int,
            "_live": dict[int, Session],
            "_by_assigned": dict[str, int],
            "_kinds": Counter[Kind],
            "_users": Counter[str],
            "_closed": list[Closed],
        },
        frozenset(("limit",)),
    ),
    Part(
        Session,
        {
            "number": int,
            "kind": Kind,
            "user": str,
            "began": datetime,
            "since": Moment,
            "group": str,
            "state": State,
            "protocol": str,
            "transport": str,
            "tunnel_port": int,
            "assigned": str,
            "public": Address,
            "encryption": str,
            "authentication": str,
            "ike_suite": str,
            "method": str,
            "exchange_mode": str,
            "client_type": str,
            "host_name": str,
            "client_version": str,
            "counters": Counters,
            "spis": tuple[SpiPair, ...],
            "weak": tuple[str, ...],
            "problem": Problem | None,
            "ike_expires": float,
        },
    ),
    Part(
        CallersSessions,
        {
            "_owners": dict[int, int],
            "_at_source": dict[Address, int],
            "_with_address": dict[str, int],
            "_checks": dict[int, Moment],
            "_quiet": dict[int, Moment],
        },
        frozenset(("groups", "pools", "_table", "_at", "_callers")),
    ),
    Part(
        Caller,
        {
            "source": Address,
            "group": str,
            "user": str,
            "proved": Authenticated | None,
            "initial_contact": bool,
            "policy": str,
            "cause": str,
            "session": int,
            "lease": tuple[Pool, str] | None,
            "pairs": dict[int, SpiPair],
            "heard_packets": int,
            "active_at": Moment,
            "silence": Silence | None,
            "udp_port": int,
            "udp_peer": Address | None,
        },
    ),
    Part(
        Silence,
        {
            "_untraversed": bool,
            "_encapsulated": bool,
            "_out": int,
            "_over": bool,
            "beside": str,
            "problem": Problem | None,
            "deadline": Moment,
        },
    ),
    Part(
        Sites,
        {
            "_called": dict[int, str],
            "_holds": dict[str, int],
            "_waits": dict[str, float],
            "_calls": dict[str, Moment],
            "_asks": dict[int, Moment],
            "_since": dict[str, Moment],
            "_elsewhere": dict[str, str],
        },
        frozenset(("by_name", "_by_peer", "_settings", "_port", "_stopped")),
    ),
)

REFUSALS = deque[Attempt]


def _ike_suite(text: str) -> IkeSuite:
    name, _, authentication = text.partition(" ")
    return IkeSuite.named(name, authentication)


def _version(feature: str) -> Version:
    return {one.feature: one for one in (*PREFERENCE, *EARLY)}[feature]


FORMS: dict[object, Form] = {
    IPv4Network | IPv6Network: Form(str, ip_network),
    datetime: Form(datetime.isoformat, datetime.fromisoformat),
    IkeSuite: Form(lambda suite: f"{suite.name} {suite.authentication.name}", _ike_suite),
    EspSuite: Form(lambda suite: suite.name, EspSuite.named),
    Version: Form(lambda version: version.feature, _version),
    Ending: Form(lambda row: row.id, ending),
}
