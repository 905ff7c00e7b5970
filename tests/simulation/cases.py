"""Random connections: what is drawn from a seed, and what must come of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from culvert.tables.algorithms import ESP_CIPHERS, GROUPS, HASHES, IKE_CIPHERS, INTEGRITIES
from simulation.nat import Depends
from simulation.network import Faults

PHASE1 = tuple(
    f"{cipher.token}-{hash.token}-{group.token}"
    for cipher in IKE_CIPHERS
    for hash in HASHES
    for group in GROUPS
)
PHASE2 = tuple(
    cipher.token if cipher.aead else f"{cipher.token}-{integrity.token}"
    for cipher in ESP_CIPHERS
    for integrity in (INTEGRITIES[:1] if cipher.aead else INTEGRITIES)
)

LOSS = 0.2  # of all datagrams, in each direction


class Outcome(Enum):
    """What is wrong with a connection, if anything."""

    RIGHT = "right"
    WRONG_GROUP = "wrong group"
    WRONG_KEY = "wrong group key"
    UNTRUSTED_GATEWAY = "an authority that the client does not know"
    UNTRUSTED_CALLER = "an authority that the gateway does not know"
    WRONG_USER = "wrong user"
    WRONG_PASSWORD = "wrong password"  # not one
    NO_ADDRESS = "no address"
    SESSION_LIMIT = "session limit"
    DUPLICATE_LIMIT = "duplicate limit"
    OUTSIDE_HOURS = "outside hours"
    PHASE1_DIFFERS = "no common phase 1"
    PHASE2_DIFFERS = "no common phase 2"
    GATEWAY_DIES = "gateway dies"
    GATEWAY_REBOOTS = "gateway dies and comes back"
    CLIENT_DIES = "client dies"


WAYS = ("psk", "xauth-psk", "rsa", "xauth-rsa", "hybrid")
MODES = ("aggressive", "main")

WITH_KEYS = ("psk", "xauth-psk")
WITH_PERSON = ("xauth-psk", "xauth-rsa", "hybrid")
SIGNED = ("rsa", "xauth-rsa")
WITH_NAME = (*WITH_PERSON, "rsa")  # with a mere key nobody can be told from another

POSSIBLE = {
    Outcome.WRONG_GROUP: WITH_KEYS,
    Outcome.WRONG_KEY: WITH_KEYS,
    Outcome.UNTRUSTED_GATEWAY: (*SIGNED, "hybrid"),
    Outcome.UNTRUSTED_CALLER: SIGNED,
    Outcome.WRONG_USER: WITH_PERSON,
    Outcome.WRONG_PASSWORD: WITH_PERSON,
    Outcome.NO_ADDRESS: WITH_NAME,
    Outcome.SESSION_LIMIT: WITH_NAME,
    Outcome.DUPLICATE_LIMIT: WITH_PERSON,
    Outcome.OUTSIDE_HOURS: WITH_PERSON,
}
"""Ways to authenticate in which this can be wrong; all where nothing is said."""

CROWDED = (Outcome.NO_ADDRESS, Outcome.SESSION_LIMIT, Outcome.DUPLICATE_LIMIT)
DYING = (Outcome.GATEWAY_DIES, Outcome.GATEWAY_REBOOTS, Outcome.CLIENT_DIES)


@dataclass(frozen=True, slots=True)
class Expected:
    """Why each end says it ended.

    ``event``: what the gateway's log holds besides; ``cause``: a word of the exact cause in its
    table of refusals (empty: the attempt never got into that table).
    """

    client: str
    gateway: str
    event: str
    cause: str


REFUSED = {
    Outcome.WRONG_GROUP: Expected(
        "group-mismatch", "group-mismatch", "ike.group-unknown", "no group"
    ),
    Outcome.WRONG_KEY: Expected(
        "group-mismatch", "group-mismatch", "ike.group-key-mismatch", "key"
    ),
    Outcome.UNTRUSTED_GATEWAY: Expected(
        "certificate-refused", "certificate-disputed", "ike.notify-received", ""
    ),
    Outcome.UNTRUSTED_CALLER: Expected(
        "certificate-disputed", "certificate-refused", "ike.certificate-refused", "authority"
    ),
    Outcome.WRONG_USER: Expected(
        "auth-rejected", "auth-rejected", "auth.unknown-user", "unknown-user"
    ),
    Outcome.WRONG_PASSWORD: Expected(
        "auth-rejected", "auth-rejected", "auth.wrong-password", "wrong-password"
    ),
    Outcome.NO_ADDRESS: Expected("no-address", "no-address", "session.no-address", "in use"),
    Outcome.SESSION_LIMIT: Expected("session-limit", "session-limit", "session.limit", "1 of 1"),
    Outcome.DUPLICATE_LIMIT: Expected(
        "duplicate-limit", "duplicate-limit", "session.duplicate-limit", "1 of 1"
    ),
    Outcome.OUTSIDE_HOURS: Expected(
        "outside-hours", "outside-hours", "auth.outside-hours", "outside-hours"
    ),
    Outcome.PHASE1_DIFFERS: Expected(
        "proposal-refused", "proposal-refused", "ike.proposal-refused", ""
    ),
    Outcome.PHASE2_DIFFERS: Expected("phase2-refused", "phase2-refused", "quick.refused", ""),
}

UNHEARD = frozenset(("no-answer", "lost-peer", "half-open-timeout", "auth-silence"))
"""How an attempt may end when the network lost too much, or an end died: silence, and no cause."""


@dataclass(frozen=True, slots=True)
class Case:
    """One random connection; everything in it follows from ``seed``.

    ``rebinds``: moments at which the NAT forgets its mappings. ``dies_at``: when the end that dies
    does. ``leaves``: how a connection that came up is ended. ``bare_esp``: whether client and
    gateway could do without UDP.
    """

    seed: int
    outcome: Outcome
    phase1: tuple[str, ...]
    phase2: tuple[str, ...]
    pfs: str | None
    faults: Faults
    behind_nat: bool
    mapping: Depends
    filtering: Depends
    preserves: bool
    neighbour: bool
    rebinds: tuple[float, ...]
    dies_at: float
    leaves: str
    bare_esp: tuple[bool, bool]
    authentication: str
    exchange_mode: str


def drawn(seed: int) -> Case:
    """The case of this seed."""
    chance = random.Random(seed)
    group = chance.choice(GROUPS).token
    of_group = [name for name in PHASE1 if name.endswith(f"-{group}")]
    outcome = Outcome.RIGHT if chance.random() < 0.4 else chance.choice(list(Outcome))
    behaviours = list(Depends)
    way, mode = _manner(seed, outcome)
    return Case(
        seed=seed,
        outcome=outcome,
        phase1=tuple(chance.sample(of_group, chance.randint(1, 3))),
        phase2=tuple(chance.sample(PHASE2, chance.randint(1, 3))),
        pfs=chance.choice(GROUPS).token if chance.random() < 0.5 else None,
        faults=Faults(
            loss=LOSS,
            duplication=0.1,
            reordering=0.1,
            delay=chance.uniform(0.001, 0.2),
            jitter=chance.uniform(0.0, 0.05),
            mtu=chance.choice((1500, 1492, 1400, 1280)),
        ),
        behind_nat=chance.random() < 0.8,
        mapping=chance.choice(behaviours),
        filtering=chance.choice(behaviours),
        preserves=chance.random() < 0.7,
        neighbour=outcome not in (*CROWDED, *DYING) and chance.random() < 0.3 and way != "psk",
        rebinds=tuple(chance.uniform(0.0, 20.0) for _ in range(chance.randint(0, 2))),
        dies_at=chance.uniform(0.0, 12.0),
        leaves=chance.choice(("disconnect", "logout", "shutdown", "power")),
        bare_esp=(chance.random() < 0.7, chance.random() < 0.7),
        authentication=way,
        exchange_mode=mode,
    )


def _manner(seed: int, outcome: Outcome) -> tuple[str, str]:
    """How the ends prove themselves, and in which mode."""
    chance = random.Random(seed + 7)
    way = chance.choice(POSSIBLE.get(outcome, WAYS))
    mode = chance.choice(MODES)
    # In main mode nobody names a group before the key is chosen.
    return way, "aggressive" if outcome is Outcome.WRONG_GROUP else mode
