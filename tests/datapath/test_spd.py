"""Outbound policy against a plain search through all rules."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from culvert.datapath.spd import Spd
from culvert.inet.prefix import prefix

NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.5/32", "10.1.0.6/32", "fd00::/8"]
HOSTS = ["10.1.0.5", "10.1.0.6", "10.2.0.1", "192.0.2.1", "fd00::1", "2001:db8::1"]
RULE = st.tuples(st.sampled_from(NETWORKS), st.sampled_from(NETWORKS))


@given(rules=st.lists(RULE, max_size=12), gone=st.sets(st.integers(0, 11)), data=st.data())
def test_the_choice_is_longest_remote_then_longest_local_then_youngest(
    rules: list[tuple[str, str]], gone: set[int], data: st.DataObject
) -> None:
    spd: Spd[int] = Spd()
    # Equal integers may be one object; the SPD tells items apart by identity.
    for number, (remote, local) in enumerate(rules):
        spd.add([prefix(remote)], [prefix(local)], number)
    for number in gone & set(range(len(rules))):
        spd.remove([prefix(rules[number][0])], number)
    source, destination = (ip_address(data.draw(st.sampled_from(HOSTS))) for _ in range(2))
    if source.version != destination.version:
        return
    fitting = [
        (ip_network(remote).prefixlen, ip_network(local).prefixlen, number)
        for number, (remote, local) in enumerate(rules)
        if number not in gone and destination in ip_network(remote) and source in ip_network(local)
    ]
    wanted = max(fitting)[2] if fitting else None
    assert spd.find(source.packed, destination.packed) == wanted


def test_removing_what_was_never_added_changes_nothing() -> None:
    spd: Spd[str] = Spd()
    spd.add([prefix("10.0.0.0/8")], [prefix("0.0.0.0/0")], "here")
    spd.remove([prefix("10.0.0.0/8"), prefix("192.0.2.0/24")], "elsewhere")
    assert spd.find(bytes(4), bytes((10, 1, 1, 1))) == "here"
