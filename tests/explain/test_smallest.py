"""The mismatch solver: every pair counts, the one that differs least is the one to change."""

from __future__ import annotations

import pytest

from culvert.eventlog.render.styles import STYLES
from culvert.eventlog.story import Comparison
from culvert.explain import explain
from culvert.explain.smallest import smallest_change
from eventlog.both_ends import BothEnds
from eventlog.samples import client


def compared(phase: int, remote: int, local: int, **values: str) -> list[Comparison]:
    return [
        Comparison(phase, remote, local, name, *value.split("|")) for name, value in values.items()
    ]


def test_the_pair_with_the_fewest_differences_is_chosen_for_each_phase() -> None:
    found = smallest_change(
        [
            *compared(1, 1, 1, cipher="aes128|aes256", hash="sha1|sha2_256", group="2|14"),
            *compared(1, 2, 3, cipher="aes256|aes256", hash="sha1|sha2_256", group="14|14"),
            *compared(2, 1, 1, cipher="aes128|aes256"),
        ],
        "en",
    )
    assert len(found) == 2
    assert "hash" in found[0]
    assert "sha1" in found[0]
    assert "sha2_256" in found[0]
    assert "aes128" in found[1]


def test_where_a_pair_agrees_nothing_is_to_be_changed() -> None:
    assert smallest_change(compared(1, 1, 1, cipher="a|a"), "en") == ()
    assert smallest_change([], "en") == ()


@pytest.mark.parametrize("style", ["own", "json", "lancom", "cisco", "vpn3000"])
def test_two_proposals_against_three_give_six_pairs_and_the_change(style: str) -> None:
    pairs = [
        (
            1.0 + number,
            "ike.proposal-compared",
            {
                "phase": 1,
                "attribute": "cipher",
                "remote": f"aes{128 * remote}",
                "local": f"camellia{local}",
                "remote_number": remote,
                "local_number": local,
            },
        )
        for number, (remote, local) in enumerate((a, b) for a in (1, 2) for b in (1, 2, 3))
    ]
    render = STYLES[style]()
    text = "\n".join(render(entry) for entry in client(*pairs))
    assert text.count("camellia") == (12 if style == "json" else 6)
    told = explain([*text.splitlines()], family="culvert")
    proposals = told.attempts[0].proposals
    assert (len(proposals.remote), len(proposals.local)) == (2, 3)
    assert len(proposals.smallest_change) == 1
    assert "aes128" in proposals.smallest_change[0]
    assert "camellia1" in proposals.smallest_change[0]


def test_real_ends_that_do_not_agree_show_what_is_to_be_changed() -> None:
    ends = BothEnds(phase1=("aes128-sha1-modp1024",))
    ends.connect(100.0)
    render = STYLES["own"]()
    told = explain([render(entry) for entry in ends.at_gateway.rings.latest().entries])
    changes = " ".join(told.attempts[0].proposals.smallest_change)
    assert "hash" in changes
    assert "group" in changes
    assert "cipher" not in changes  # its second proposal has the caller's cipher
