"""Logs printed in a container: what docker, podman, compose and Kubernetes put in front."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from culvert.eventlog.render.styles import STYLES
from culvert.explain import explain
from culvert.explain.carrier import unwrapped
from eventlog.both_ends import BothEnds
from explain.scoring import Sample, misses, samples

Wrap = Callable[[int, str], str]


def nanoseconds(number: int) -> str:
    return f"2026-11-21T10:{number // 60 % 60:02}:{number % 60:02}.{number:09}"


WRAPS: dict[str, Wrap] = {
    "on a node": lambda number, line: f"{nanoseconds(number)}Z stdout F {line}",
    "on a node, another zone": lambda number, line: f"{nanoseconds(number)}+01:00 stderr F {line}",
    "docker logs -t": lambda number, line: f"{nanoseconds(number)}Z {line}",
    "docker compose logs": lambda _, line: f"vpn-1  | {line}",
    "docker compose logs -t": lambda number, line: f"vpn-1  | {nanoseconds(number)}Z {line}",
    "kubectl logs --prefix": lambda _, line: f"[pod/vpn-7d9f-x2/gateway] {line}",
}


def wrapped(lines: Iterable[str], wrap: str) -> list[str]:
    return [WRAPS[wrap](number, line) for number, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("one", "wrap"),
    [(one, list(WRAPS)[number % len(WRAPS)]) for number, one in enumerate(samples())],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_the_verdict_is_that_of_the_log_itself(one: Sample, wrap: str) -> None:
    assert misses(one, wrapped(one.lines, wrap), evidence=False) == misses(one, evidence=False)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("wrap", WRAPS)
def test_our_own_log_is_known_in_every_rendering(wrap: str, style: str) -> None:
    ends = BothEnds(group_key="grup-key")
    ends.connect(200.0)
    render = STYLES[style]()
    entries = ends.at_client.rings.latest().entries
    lines = "\n".join(render(entry) for entry in entries).splitlines()
    plain, found = explain(lines), explain(wrapped(lines, wrap))
    assert found.family == plain.family == "culvert"
    assert [one.id for one in found.diagnoses] == [one.id for one in plain.diagnoses]
    assert found.unknown_lines == plain.unknown_lines


def test_the_time_is_the_containers_where_the_program_prints_none() -> None:
    bare = unwrapped(f"{nanoseconds(61)}Z stdout F 05[IKE] initiating Main Mode")
    assert (bare.text, bare.stamp) == ("05[IKE] initiating Main Mode", f"{nanoseconds(61)}Z")


def test_a_pipe_or_a_time_of_its_own_makes_no_container() -> None:
    for line in (
        "2026-11-21T10:00:00.123456Z host charon: 05[IKE] up",
        "2026-11-21T10:00:00.123Z info client.up [office] office is up",
        "Group | User | Address",
    ):
        assert not unwrapped(line).printed
