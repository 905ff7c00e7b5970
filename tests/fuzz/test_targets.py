"""Every target on its corpus, on changes of it and on any octets at all.

`make fuzz` tries many more examples, and coverage-guided ones where atheris is installed (see
`fuzz.guided`). An input that found a bug goes into the corpus, under a name that says what it is.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
SLOW = ("gateway", "configurations", "handed", "logs", "client", "at_client", "at_gateway")


def corpus_of(target: str) -> list[bytes]:
    return [path.read_bytes() for path in FILES if path.parent.name == target]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_is_still_good(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)


def test_every_finding_is_kept_in_the_corpus() -> None:
    findings = tomllib.loads(Path(__file__).with_name("findings.toml").read_text())["finding"]
    kept = {(path.parent.name, path.name) for path in FILES}
    assert [one for one in findings if (one["target"], one["input"]) not in kept] == []


@pytest.mark.parametrize("target", TARGETS)
def test_any_octets_are_taken_or_refused(target: str) -> None:
    @given(st.binary(max_size=2000))
    def holds(octets: bytes) -> None:
        TARGETS[target](octets)

    holds()


changes = st.lists(
    st.tuples(
        st.sampled_from(("flip", "cut", "insert", "copy")),
        st.integers(0, 100_000),
        st.integers(0, 100_000),
        st.binary(max_size=12),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("target", TARGETS)
def test_changed_corpus_is_taken_or_refused(target: str) -> None:
    @given(st.sampled_from(corpus_of(target)), changes)
    @settings(max_examples=settings().max_examples // (2 if target in SLOW else 1))
    def holds(octets: bytes, what: list[tuple[str, int, int, bytes]]) -> None:
        TARGETS[target](changed(octets, what))

    holds()


def changed(octets: bytes, what: list[tuple[str, int, int, bytes]]) -> bytes:
    """``octets`` with these changes made to it one after the other."""
    made = bytearray(octets)
    for how, at, size, given_octets in what:
        start = at % (len(made) + 1)
        end = start + size % 64
        match how:
            case "flip":
                made[start : start + len(given_octets)] = given_octets
            case "cut":
                del made[start:end]
            case "insert":
                made[start:start] = given_octets
            case _:
                made[start:start] = made[:64][: end - start]
    return bytes(made)
