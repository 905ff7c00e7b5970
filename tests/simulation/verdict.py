"""Looks whether what came of a random connection fits what was wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.cases import DYING, REFUSED, UNHEARD, WITH_KEYS, Case, Expected, Outcome
from simulation.ends import ClientEnd
from simulation.play import Played
from simulation.world import GROUP

FOR_EVERYBODY = (
    Outcome.PHASE1_DIFFERS,
    Outcome.PHASE2_DIFFERS,
    Outcome.OUTSIDE_HOURS,
    Outcome.UNTRUSTED_CALLER,
)
"""What is wrong with the gateway's configuration, so the neighbour meets it as well."""

LEFT = {
    "disconnect": ("by-user", "by-user"),
    "logout": ("by-administrator", "by-administrator"),
    "shutdown": ("peer-shutdown", "peer-shutdown"),
    "power": ("lost-peer", "lost-peer"),
}
"""Reasons of client and gateway when a connection that was up ends so."""


def wrong(played: Played) -> list[str]:
    """Everything that does not fit; empty if all is well."""
    found = [f"left over at the {what}" for what in played.world.left_over()]
    for client in played.clients:
        found += [f"{client.name}: {what}" for what in _client(played, client)]
    return found


def unheard(played: Played) -> list[ClientEnd]:
    """Clients under test that ended for the network's sake alone."""
    if played.case.outcome in DYING:
        return []
    silent = _unheard(played.case)
    return [c for c in played.clients if not played.up[c.name] and c.reason in silent]


def _unheard(case: Case) -> frozenset[str]:
    """In main mode whoever has another key can only be silent: silence is taken for that."""
    silent = case.exchange_mode == "main" and case.authentication in WITH_KEYS
    return UNHEARD | {"group-mismatch"} if silent else UNHEARD


def _client(played: Played, client: ClientEnd) -> Iterator[str]:
    case = played.case
    own = case.outcome if client is played.clients[0] else Outcome.RIGHT
    outcome = case.outcome if case.outcome in FOR_EVERYBODY else own
    if expected := REFUSED.get(outcome):
        yield from _refused(played, client, expected)
    elif outcome in DYING:
        yield from _dying(played, client)
    elif played.up[client.name]:
        yield from _was_up(played, client)
    else:
        yield from _silent(played, client)


def _was_up(played: Played, client: ClientEnd) -> Iterator[str]:
    name = client.name
    if not played.carried[name]:
        # 20 % loss ends even a connection that stands, but then both ends know.
        if client.reason in UNHEARD:
            yield from _silent(played, client)
        else:
            yield "up, and no packet came through both ways: the keys differ"
        return
    if not played.listed[name]:
        yield "up, and the gateway's table does not have its session"
    at_client, at_gateway = LEFT[played.case.leaves]
    if client.reason not in {at_client, *UNHEARD}:
        yield f"left by {played.case.leaves} and says {client.reason}"
    for reason in gateway_reasons(played, client):
        if reason not in {at_gateway, *UNHEARD}:
            yield f"left by {played.case.leaves} and the gateway says {reason}"


def _silent(played: Played, client: ClientEnd) -> Iterator[str]:
    if client.reason not in _unheard(played.case):
        yield f"nothing is wrong with it, and it says {client.reason}"
    for reason in gateway_reasons(played, client):
        if reason not in UNHEARD:
            yield f"nothing is wrong with it, and the gateway says {reason}"


def _dying(played: Played, client: ClientEnd) -> Iterator[str]:
    allowed = {*LEFT[played.case.leaves], *_unheard(played.case)}
    if client.reason not in allowed:
        yield f"an end died, and it says {client.reason}"
    for reason in gateway_reasons(played, client):
        if reason not in allowed:
            yield f"an end died, and the gateway says {reason}"


def _refused(played: Played, client: ClientEnd, expected: Expected) -> Iterator[str]:
    if played.up[client.name]:
        yield "up, although it had to be refused"
    if client.reason not in {expected.client, *UNHEARD}:
        yield f"says {client.reason} instead of {expected.client}"
    reasons = gateway_reasons(played, client)
    for reason in reasons:
        if reason not in {expected.gateway, *UNHEARD}:
            yield f"the gateway says {reason} instead of {expected.gateway}"
    if expected.gateway in reasons and expected.event not in played.world.gateway.codes():
        yield f"the gateway's log has no {expected.event}"
    if expected.cause and expected.gateway in reasons:
        causes = [row.cause for row in played.world.gateway.core.refusals]
        if not any(expected.cause in cause for cause in causes):
            yield f"the gateway's causes are {causes}"


def gateway_reasons(played: Played, client: ClientEnd) -> list[str]:
    """Why the gateway ended this client's attempts. Those that never named a user are taken for the
    subject's."""
    gateway = played.world.gateway
    subject = client is played.clients[0]
    user = client.person[0] if client.person else ""
    if played.case.authentication == "psk":
        user = GROUP  # nobody is known by name
    reasons = [
        row.reason
        for row in gateway.core.refusals
        if row.user == user or (subject and not row.user)
    ]
    if played.case.outcome is not Outcome.DUPLICATE_LIMIT:  # there the occupant is of this name
        reasons += [row.ending.id for row in gateway.table.closed if row.user == user]
    return reasons
