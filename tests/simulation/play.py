"""Plays a random connection to its end in a world of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from culvert.secret import Secret
from culvert.session.session import State
from simulation.cases import CROWDED, PHASE1, PHASE2, WAYS, Case, Outcome
from simulation.certificates import Vault, gateway_vault, person_vault, trusting_stranger
from simulation.ends import ClientEnd
from simulation.world import GATEWAY, GROUP, PASSWORD, STRANGER, USERS, Terms, World, profile

AWAY = 3.0  # seconds a gateway needs to start again
FAREWELL = 1.0  # seconds a gateway that was told to stop still lives
FORGOTTEN = 100.0  # seconds after which a gateway has noticed that a refused client is gone
SETTLING = 300.0
"""Seconds after which whatever is left is left for good: more than DPD, half-open limits and
retransmission take together, less than any lifetime."""

OCCUPANT = "occupant"


@dataclass(slots=True)
class Played:
    """``clients`` are those under test, the subject first; by name whether each came ``up``, and
    whether it then ``carried`` a packet both ways and stood in the gateway's table (``listed``)."""

    case: Case
    world: World
    clients: list[ClientEnd]
    up: dict[str, bool]
    carried: dict[str, bool]
    listed: dict[str, bool]


def play(case: Case) -> Played:
    """From the first message until nothing is left to be done."""
    world = World(case.seed, _terms(case), bare_esp=case.bare_esp[1], vault=_gateway_vault(case))
    with world.shown_if_wrong():
        occupant = _occupant(case, world) if case.outcome in CROWDED else None
        clients = _clients(case, world)
        _plan(case, world, clients[0])
        for client in clients:
            client.connect()
        played = Played(case, world, clients, {}, {}, {})
        for client in clients:
            if not world.decided(client):
                raise AssertionError(f"{client.name} is neither up nor over after 5 minutes")
        world.run(max([case.dies_at, *case.rebinds]))
        for client in clients:
            played.up[client.name] = client.up
            played.carried[client.name] = client.up and world.passes_both_ways(client)
            played.listed[client.name] = _is_listed(world, client)
        if not all(played.up.values()):
            world.run(FORGOTTEN)  # before the others leave
        _leave(played)
        if occupant is not None:
            occupant.disconnect()
        world.run(SETTLING)
    return played


def _terms(case: Case) -> Terms:
    """What the gateway is told: something in common with the client, unless that is the point."""
    chance = random.Random(case.seed + 4)
    phase1 = chance.sample([name for name in PHASE1 if name not in case.phase1], 3)
    phase2 = chance.sample([name for name in PHASE2 if name not in case.phase2], 2)
    if case.outcome is not Outcome.PHASE1_DIFFERS:
        phase1.append(chance.choice(case.phase1))
    if case.outcome is not Outcome.PHASE2_DIFFERS:
        phase2.append(chance.choice(case.phase2))
    if case.pfs:
        # A group is good enough for PFS if it is for phase 1.
        phase1.append(f"aes256-sha2_512-{case.pfs}")
        if case.outcome is Outcome.PHASE1_DIFFERS:
            phase1 = [name for name in phase1 if name not in case.phase1]
    chance.shuffle(phase1)
    chance.shuffle(phase2)
    return Terms(
        phase1=tuple(dict.fromkeys(phase1)),
        phase2=tuple(phase2),
        addresses=1 if case.outcome is Outcome.NO_ADDRESS else 20,
        session_limit=1 if case.outcome is Outcome.SESSION_LIMIT else 100,
        max_logins=1 if case.outcome is Outcome.DUPLICATE_LIMIT else 0,
        hours="mon-fri 08:00-18:00" if case.outcome is Outcome.OUTSIDE_HOURS else "",
        authentication=WAYS,
        aggressive_certificates=True,
        main_mode=True,
    )


def _gateway_vault(case: Case) -> Vault:
    vault = gateway_vault(GATEWAY)
    return trusting_stranger(vault) if case.outcome is Outcome.UNTRUSTED_CALLER else vault


def _vault(case: Case, user: str, *, subject: bool) -> Vault:
    vault = person_vault(user, GROUP)
    wrong = subject and case.outcome is Outcome.UNTRUSTED_GATEWAY
    return trusting_stranger(vault) if wrong else vault


def _profile(case: Case, name: str, **changes: Any) -> Any:
    return profile(
        name,
        phase1=case.phase1,
        phase2=case.phase2,
        pfs=case.pfs,
        authentication=case.authentication,
        exchange_mode=case.exchange_mode,
        **changes,
    )


def _occupant(case: Case, world: World) -> ClientEnd:
    """Somebody who has the only place before the connection under test begins."""
    user = USERS[0] if case.outcome is Outcome.DUPLICATE_LIMIT else OCCUPANT
    made = world.client(
        _profile(case, OCCUPANT), person=(user, PASSWORD), vault=_vault(case, user, subject=False)
    )
    made.connect()
    world.decided(made)
    if not made.up:
        raise AssertionError(f"the occupant did not come in: {made.reason}")
    return made


def _clients(case: Case, world: World) -> list[ClientEnd]:
    behind = None
    if case.behind_nat:
        behind = world.nat
        behind.mapping, behind.filtering = case.mapping, case.filtering
        behind.preserves = case.preserves
    wrong: dict[str, Any] = {}
    person = (USERS[0], PASSWORD)
    match case.outcome:
        case Outcome.WRONG_GROUP:
            wrong = {"group": "no-such-group"}
        case Outcome.WRONG_KEY:
            wrong = {"group_key": Secret("another key than the gateway has")}
        case Outcome.WRONG_USER:
            person = STRANGER
        case Outcome.WRONG_PASSWORD:
            person = (USERS[0], "the wrong password")
        case _:
            pass
    kept = _profile(case, "subject", **wrong)
    people = [(kept, person)]
    if case.neighbour:
        people.append((_profile(case, "neighbour"), (USERS[1], PASSWORD)))
    return [
        world.client(
            kept,
            person=person,
            behind=behind,
            faults=case.faults,
            bare_esp=case.bare_esp[0],
            vault=_vault(case, person[0], subject=kept is people[0][0]),
        )
        for kept, person in people
    ]


def _plan(case: Case, world: World, subject: ClientEnd) -> None:
    """What happens to the network and to the ends meanwhile."""
    began = world.now
    if case.behind_nat:
        for at in case.rebinds:
            world.timeline.at(began + at, world.nat.flush)
    gateway = world.gateway
    match case.outcome:
        case Outcome.GATEWAY_DIES:
            world.timeline.at(began + case.dies_at, gateway.unplug)
        case Outcome.GATEWAY_REBOOTS:
            world.timeline.at(began + case.dies_at, gateway.unplug)
            world.timeline.at(began + case.dies_at, gateway.reboot)
            world.timeline.at(began + case.dies_at + AWAY, gateway.plug)
        case Outcome.CLIENT_DIES:
            world.timeline.at(began + case.dies_at, subject.unplug)
        case _:
            pass


def _is_listed(world: World, client: ClientEnd) -> bool:
    """Whether the gateway's table has the client's session, with the address it uses."""
    session = world.gateway.table.by_assigned(client.address) if client.address else None
    return session is not None and session.state is State.UP


def _leave(played: Played) -> None:
    """Everybody who is up goes, in a way that the other end may or may not hear of."""
    world, case = played.world, played.case
    gateway = world.gateway
    gone = [client for client in played.clients if client.up]
    match case.leaves:
        case "disconnect":
            for client in gone:
                client.disconnect()
        case "logout":
            for session in gateway.table:
                if session.assigned in {client.address for client in gone}:
                    gateway.do(gateway.core.logout(session.number, now=world.now))
        case "shutdown":
            gateway.do(gateway.core.shutdown(now=world.now))
            world.timeline.after(FAREWELL, gateway.unplug)
        case _:
            for client in gone:
                client.unplug()
