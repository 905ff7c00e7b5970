"""Names of proposals in a profile: ``aes256-sha2_256-modp2048``, in phase 2 ``aes128gcm16``.

Only names and their legacy switches are known here. What they are on the wire and in a cipher
library stands further down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from culvert.tables.algorithms import (
    COMPRESSIONS,
    ESP_CIPHERS,
    GROUPS,
    HASHES,
    IKE_CIPHERS,
    INTEGRITIES,
)
from culvert.tables.loader import rows
from culvert.tables.proposal_names import tokens_of


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a proposal; ``switch`` names the legacy switch it needs, ``weak`` says why."""

    name: str
    switch: str
    weak: str


@dataclass(frozen=True, slots=True)
class LegacyMode:
    """A weak way of doing things, a row of tables/profile_names.toml."""

    name: str
    weak: str


Words = dict[str, Token]

MODES = rows("profile_names.toml", "legacy", LegacyMode)
EARLY_SWITCH = "natt-early"
AGGRESSIVE_PSK = "aggressive-psk"

_CIPHER: Words = {r.token: Token(r.token, r.legacy, r.weak) for r in IKE_CIPHERS}
_HASH: Words = {
    word: Token(r.token, r.legacy, r.weak) for r in HASHES for word in (r.token, *r.aliases)
}
_GROUP: Words = {r.token: Token(r.token, r.legacy, r.weak) for r in GROUPS}
_AEAD: Words = {r.token: Token(r.token, r.legacy, r.weak) for r in ESP_CIPHERS if r.aead}
_ESP_CIPHER: Words = {r.token: Token(r.token, r.legacy, r.weak) for r in ESP_CIPHERS if not r.aead}
_INTEGRITY: Words = {
    word: Token(r.token, r.legacy, r.weak) for r in INTEGRITIES for word in (r.token, *r.aliases)
}
_COMPRESSION: Words = {r.token: Token(r.token, r.legacy, r.weak) for r in COMPRESSIONS}

SHAPES: dict[int, tuple[tuple[Words, ...], ...]] = {
    1: ((_CIPHER, _HASH, _GROUP),),
    2: (
        (_AEAD,),
        (_ESP_CIPHER, _INTEGRITY),
        (_AEAD, _COMPRESSION),
        (_ESP_CIPHER, _INTEGRITY, _COMPRESSION),
    ),
}
EXAMPLES = {1: "aes256-sha2_256-modp2048", 2: "aes256gcm16 or aes256-sha2_256"}

WEAKNESSES: dict[str, str] = {
    **{mode.name: mode.weak for mode in MODES},
    **{
        token.switch: token.weak
        for words in (_CIPHER, _HASH, _GROUP, _AEAD, _ESP_CIPHER, _INTEGRITY, _COMPRESSION)
        for token in words.values()
        if token.switch
    },
}
"""Legacy switch → why what it allows is weak."""


def problem(name: str, phase: int) -> str:
    """What is wrong with a proposal's name, as a sentence; empty when nothing is."""
    words = tokens_of(name, phase).split("-")
    known = {word for shape in SHAPES[phase] for part in shape for word in part}
    for word in words:
        if word not in known:
            return f"{shown(name)}: unknown word {shown(word)}{suggestion(word, known)}"
    if _tokens(name, phase) is None:
        return f"{shown(name)} is not made like a phase {phase} proposal ({EXAMPLES[phase]})"
    return ""


def switches_of(name: str, phase: int) -> tuple[str, ...]:
    """The legacy switches that a (valid) proposal needs."""
    return tuple(token.switch for token in _tokens(name, phase) or () if token.switch)


def group_of(name: str) -> str:
    """The Diffie-Hellman group of a (valid) phase 1 proposal."""
    return tokens_of(name, 1).rsplit("-", 1)[-1]


def group_problem(name: str) -> str:
    """What is wrong with the name of a Diffie-Hellman group; empty when nothing is."""
    return "" if name in _GROUP else f"unknown group {shown(name)}{suggestion(name, _GROUP)}"


def switch_of_group(name: str) -> str:
    """The legacy switch that a (valid) group needs; empty for none."""
    return _GROUP[name].switch


LONGEST_SHOWN = 64
"""Characters of a wrong value repeated in a message; enough to find it in the file."""


def shown(word: str) -> str:
    """A value from outside as a message may repeat it: quoted, escaped, cut."""
    return ascii(word[:LONGEST_SHOWN])


def suggestion(word: str, known: Collection[str]) -> str:
    """``; did you mean "x"?``, or the whole list when nothing is near."""
    if near := nearest(word, known):
        return f'; did you mean "{near}"?'
    return f"; known: {', '.join(sorted(known))}"


def nearest(word: str, known: Collection[str]) -> str:
    """The one that ``word`` was probably meant to be; empty when nothing is near."""
    return next(iter(get_close_matches(word[:LONGEST_SHOWN], known, n=1)), "")


def _tokens(name: str, phase: int) -> tuple[Token, ...] | None:
    words = tokens_of(name, phase).split("-")
    for shape in SHAPES[phase]:
        if len(shape) == len(words) and all(
            word in part for word, part in zip(words, shape, strict=True)
        ):
            return tuple(part[word] for word, part in zip(words, shape, strict=True))
    return None


def in_order(switches: Iterable[str]) -> tuple[str, ...]:
    """Switches without repeats, in the order of `WEAKNESSES`."""
    wanted = set(switches)
    return tuple(switch for switch in WEAKNESSES if switch in wanted)
