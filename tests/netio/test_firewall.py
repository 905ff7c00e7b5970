"""Chains of nftables that call each other. Real rules: cli/test_gateway_check.py."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.netio.firewall import closed_to, rules_of

Rule = dict[str, Any]
TABLE = {"family": "inet", "table": "filter"}
FOR_NATT = {
    "match": {
        "op": "==",
        "left": {"payload": {"protocol": "udp", "field": "dport"}},
        "right": {"set": [500, {"range": [4000, 4600]}]},
    }
}


def rules(*of_input: list[Rule], policy: str = "drop", other: list[Rule] | None = None) -> Rule:
    made: list[Rule] = [
        {"metainfo": {}},
        {"chain": {**TABLE, "name": "input", "hook": "input", "policy": policy}},
        {"chain": {**TABLE, "name": "vpn"}},
    ]
    made += [{"rule": {**TABLE, "chain": "input", "expr": one}} for one in of_input]
    made += [{"rule": {**TABLE, "chain": "vpn", "expr": other}}] if other else []
    return {"nftables": made}


@pytest.mark.parametrize("call", ["jump", "goto"])
def test_what_a_called_chain_accepts_is_accepted(call: str) -> None:
    called: Rule = {call: {"target": "vpn"}}
    assert closed_to(rules([called], other=[FOR_NATT, {"accept": None}]), 4500) == []
    assert closed_to(rules([called], other=[FOR_NATT, {"accept": None}]), 4601) == [
        "inet filter input"
    ]


def test_chains_that_call_each_other_for_ever_end() -> None:
    back: Rule = {"jump": {"target": "input"}}
    assert closed_to(rules([{"jump": {"target": "vpn"}}], other=[back]), 4500)


def test_a_rule_that_rejects_counts_as_one_that_drops() -> None:
    assert closed_to(rules([FOR_NATT, {"reject": None}], policy="accept"), 500)
    assert not closed_to(rules([FOR_NATT, {"reject": None}], policy="accept"), 501)


@pytest.mark.parametrize("listing", [{}, {"nftables": 5}, {"nftables": [1, {"rule": []}]}])
def test_what_is_no_listing_closes_nothing(listing: Rule) -> None:
    assert closed_to(listing, 4500) == []


def test_chains_that_call_the_next_twice_are_gone_through_once() -> None:
    made = rules([{"jump": {"target": "0"}}])
    for number in range(14):
        call: Rule = {"jump": {"target": f"{number + 1}"}}
        of_it = {**TABLE, "chain": f"{number}", "expr": [call]}
        made["nftables"] += [{"chain": {**TABLE, "name": f"{number}"}}, *[{"rule": of_it}] * 30]
    assert closed_to(made, 4500) == ["inet filter input"]


@pytest.mark.parametrize("said", [b"", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_no_listing(said: bytes) -> None:
    assert rules_of(said) is None
