"""The short story of an attempt that came up: mode, login, NAT, address, SAs, time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from culvert.explain.facts import Fact
from culvert.explain.sentence import clause, number

WEAK = ("blowfish", "des", "md5", "modp_768", "modp768", "null", "rc4")
"""Parts of a suite that nobody should accept today."""

STRONG = ("3des", "triple")
SPELLED = 5


def summary(facts: Sequence[Fact], seconds: float | None, language: str) -> str:
    """Clauses joined by semicolons; empty if the facts hold none of them."""
    text = "; ".join(_clauses(facts, seconds, language))
    return text[:1].upper() + text[1:]


def _clauses(facts: Sequence[Fact], seconds: float | None, language: str) -> Iterator[str]:
    if mode := value_of(facts, "mode"):
        shown = mode.lower()
        key = f"mode-{shown}" if shown in {"main", "aggressive"} else "mode-other"
        auth = value_of(facts, "auth")
        yield clause(key, language, mode=mode) + (
            f", {clause(f'auth-{auth}', language)}" if auth else ""
        )
    if weak := _weak(facts, language):
        yield weak
    if (asked := _between(facts, "xauth.asked", "xauth.answered")) is not None:
        yield clause("xauth", language, seconds=number(asked, language))
    yield from _nat(facts, language)
    if address := value_of(facts, "assigned"):
        yield clause("address", language, address=address)
    if count := len({fact.line for fact in facts if fact.id in {"p2.up", "p2.more"}}):
        spelled = clause(f"count-{count}", language) if count <= SPELLED else str(count)
        yield clause("one-sa" if count == 1 else "sas", language, count=spelled)
    if seconds is not None:
        digits = 1 if seconds < 10 else 0
        yield clause("connected", language, seconds=number(seconds, language, digits))
    for fact in facts:
        if fact.id == "keepalive.other":
            yield clause("keepalive-other", language)
            return


def value_of(facts: Sequence[Fact], name: str) -> str:
    """The last value of this name that any fact has."""
    for fact in reversed(facts):
        if found := fact.value(name):
            return found
    return ""


def _weak(facts: Sequence[Fact], language: str) -> str:
    suites = [fact for fact in facts if fact.id == "p1.suite"]
    if not suites:
        return ""
    suite = suites[-1].value("suite") or "/".join(
        one for one in (suites[-1].value("cipher"), suites[-1].value("hash")) if one
    )
    lowered = suite.lower()
    plain = lowered
    for strong in STRONG:
        plain = plain.replace(strong, "")
    if not any(part in plain for part in WEAK):
        return ""
    matched = [fact for fact in facts if fact.id == "proposal.matched"]
    local = matched[-1].value("local_no") if matched else ""
    name = "weak-with" if local else "weak"
    return clause(name, language, suite=suite, number=local)


def _nat(facts: Sequence[Fact], language: str) -> Iterator[str]:
    local, remote = value_of(facts, "nat_local"), value_of(facts, "nat_remote")
    if local and remote:
        yield clause(f"nat-{local}-{remote}", language)
    elif local == "yes" or remote == "yes":
        yield clause("nat-yes-" if local == "yes" else "nat--yes", language)
    if port := value_of(facts, "natt_port"):
        shown = str(int(port, 16)) if port.lower().startswith("0x") else port
        yield clause("natt", language, port=shown)


def _between(facts: Sequence[Fact], first: str, then: str) -> float | None:
    """Seconds from the first fact of one kind to the next of another."""
    begun: float | None = None
    for fact in facts:
        if fact.at is None:
            continue
        if fact.id == first and begun is None:
            begun = fact.at.seconds
        elif fact.id == then and begun is not None:
            return max(fact.at.seconds - begun, 0.0)
    return None
