"""The PIX's two tables from what conntrack and the kernel print."""

from __future__ import annotations

from culvert.lab import pat
from culvert.lab.pat import Neighbour, Xlate

UDP = (
    "udp      17 119 src=10.10.10.{client} dst=172.16.172.50 sport={local} dport={local} "
    "src=172.16.172.50 dst=171.69.89.78 sport={local} dport={outside} [ASSURED] mark=0 use=1"
)
ICMP = (
    "icmp     1 29 src=10.10.10.2 dst=172.16.172.50 type=8 code=0 id=15485 "
    "src=172.16.172.50 dst=171.69.89.78 type=0 code=0 id=24710 mark=0 use=1"
)
ESP = (
    "unknown  50 599 src=10.10.10.2 dst=172.16.172.50 [UNREPLIED] "
    "src=172.16.172.50 dst=171.69.89.78 mark=0 use=1"
)
# The PAT's own traffic, and a stranger's packet to its outside address: nothing is rewritten.
OWN = (
    "udp      17 30 src=171.69.89.78 dst=172.16.172.50 sport=7 dport=9 [UNREPLIED] "
    "src=172.16.172.50 dst=171.69.89.78 sport=9 dport=7 mark=0 use=1"
)


def udp(client: int, local: int, outside: int) -> str:
    return UDP.format(client=client, local=local, outside=outside)


def test_the_table_reads_like_the_notes_show_xlate() -> None:
    listing = "\n".join([udp(3, 4500, 1025), udp(2, 4500, 1026), udp(2, 500, 4), OWN])
    assert str(Xlate(pat.translations(listing), most_used=4)).splitlines() == [
        "3 in use, 4 most used",
        "PAT Global 171.69.89.78(1025) Local 10.10.10.3(4500)",
        "PAT Global 171.69.89.78(1026) Local 10.10.10.2(4500)",
        "PAT Global 171.69.89.78(4) Local 10.10.10.2(500)",
    ]


def test_icmp_shows_its_identifier_and_plain_esp_no_port() -> None:
    assert [str(row) for row in pat.translations(f"{ICMP}\n{ESP}\n")] == [
        "Global 171.69.89.78 Local 10.10.10.2",
        "PAT Global 171.69.89.78(24710) Local 10.10.10.2 ICMP id 15485",
    ]


def test_traffic_that_is_not_rewritten_is_no_translation() -> None:
    assert pat.translations(f"{OWN}\n\nconntrack v1.4.7: 1 flow entries have been shown.\n") == ()


def test_the_peak_counts_what_lived_at_the_same_time() -> None:
    first, second, third = udp(2, 500, 4), udp(3, 500, 9), udp(2, 4500, 1026)
    events = [
        f"    [NEW] {first}",
        f"    [NEW] {OWN}",
        f"    [NEW] {second}",
        f"[DESTROY] {first} [USERSPACE] portid=1 progname=conntrack",
        f"    [NEW] {third}",
        "    [NEW] udp 17 30 src=10.10",  # cut short: the writer is still at it
    ]
    assert pat.peak(events) == 2


def test_the_arp_table_reads_like_a_pix() -> None:
    listing = """[
      {"dst": "10.10.10.3", "dev": "br0", "lladdr": "00:50:da:bb:f0:93", "state": ["STALE"]},
      {"dst": "171.69.88.1", "dev": "out", "lladdr": "00:00:0c:07:ac:7b", "state": ["REACHABLE"]},
      {"dst": "10.10.10.9", "dev": "br0", "state": ["FAILED"]}
    ]"""
    assert [str(row) for row in pat.neighbours(listing)] == [
        "      outside 171.69.88.1 0000.0c07.ac7b",
        "      inside 10.10.10.3 0050.dabb.f093",
    ]
    assert pat.neighbours("") == ()
    assert pat.neighbours(listing)[0] == Neighbour("outside", "171.69.88.1", "00:00:0c:07:ac:7b")
