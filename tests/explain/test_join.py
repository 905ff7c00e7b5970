"""Both ends' logs given together: the surest cause comes first, whichever end knows it."""

from __future__ import annotations

from itertools import permutations

import pytest

from culvert.explain import explain
from explain.test_renderings import AT_GATEWAY, logs, written

CAUSES = {
    "unknown group": "p1.group-unknown",
    "unknown user": "xauth.user-unknown",
    "locked": "xauth.locked",
    "disabled": "xauth.disabled",
    "not in the group": "xauth.group-lock",
}


@pytest.mark.parametrize("styles", [("json", "json"), ("own", "own"), ("json", "own")])
@pytest.mark.parametrize("fault", CAUSES)
def test_what_only_the_gateway_knows_is_told_first(fault: str, styles: tuple[str, str]) -> None:
    ends = [written(of, style) for of, style in zip(logs(fault), styles, strict=True)]
    for first, second in permutations(ends):
        told = explain([*first, *second])
        assert told.unknown_lines == 0
        assert told.outcome == "failed"
        assert told.diagnoses[0].id == CAUSES[fault] == AT_GATEWAY[fault]
        assert len(told.diagnoses) == 2


def test_two_good_logs_are_two_good_attempts() -> None:
    told = explain([line for of in logs("good") for line in written(of, "json")])
    assert [one.diagnoses[0].id for one in told.attempts] == ["ok.established"] * 2


def test_logs_of_different_connections_are_not_joined() -> None:
    client = written(logs("wrong password")[0], "json")
    gateway = [line.replace("71faa70e", "00000001") for line in written(logs("locked")[1], "json")]
    told = explain([*client, *gateway])
    assert {one.diagnoses[0].id for one in told.attempts} == {"xauth.failed", "xauth.locked"}
    assert all(len(one.diagnoses) == 1 for one in told.attempts)
