"""The kernel's IPsec messages, octet for octet as iproute2 writes them."""

from __future__ import annotations

import struct
import sys
import tomllib
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.datapath.xfrm.layout import FAMILIES, structure
from culvert.datapath.xfrm.messages import (
    Request,
    add_state,
    all_states,
    put_policy,
    read_error,
    read_news,
    read_policy,
    read_state,
    remove_policy,
    remove_state,
    ring_of,
    window_of,
)
from culvert.datapath.xfrm.orders import (
    Expired,
    Policy,
    PolicyName,
    Remapped,
    State,
    StateName,
)
from culvert.errors import MisuseError, WireError
from culvert.esp.replay import WINDOW
from culvert.tables.xfrm import MESSAGES, STRUCTURES

KNOWN = tomllib.loads((Path(__file__).parent / "iproute.toml").read_text())["message"]
GCM, CBC, PUT, DROP, DELETE = KNOWN
INTERFACE = 77

little = pytest.mark.skipif(
    sys.byteorder != "little", reason="the messages were captured on a little-endian machine"
)


def _octets(known: dict[str, str]) -> bytes:
    return bytes.fromhex(known["octets"].replace("\n", ""))


GCM_STATE = State(
    0xC0FFEE01,
    "192.0.2.1",
    "198.51.100.7",
    "aes-gcm-16",
    "",
    bytes(range(16)),
    bytes(range(16, 20)),
    b"",
    7,
    4500,
    61234,
    soft_octets=1000,
    hard_octets=2000,
)
CBC_STATE = State(
    0xC0FFEE02,
    "192.0.2.1",
    "198.51.100.7",
    "aes-cbc",
    "hmac-sha2-256-128",
    bytes(range(16)),
    b"",
    bytes(range(32)),
    7,
)


def _attributes(body: bytes, after: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while after < len(body):
        length, kind = struct.unpack_from("=HH", body, after)
        found[kind] = body[after + 4 : after + length]
        after += length + -length % 4
    return found


def _same(request: Request, known: dict[str, str], *, head: str) -> None:
    """The order of attributes is free."""
    octets, after = _octets(known), STRUCTURES[head].octets
    assert request.kind == int(known["kind"])
    assert request.body[:after] == octets[:after]
    assert _attributes(request.body, after) == _attributes(octets, after)
    assert len(request.body) == len(octets)


@little
def test_an_sa_with_gcm_in_udp_is_written_as_iproute2_writes_it() -> None:
    _same(add_state(GCM_STATE, INTERFACE), GCM, head="sa")


@little
def test_an_sa_with_a_cipher_and_an_hmac_is_written_as_iproute2_writes_it() -> None:
    _same(add_state(CBC_STATE, INTERFACE), CBC, head="sa")


@little
def test_a_policy_with_one_template_is_written_as_iproute2_writes_it() -> None:
    policy = Policy("out", "10.0.0.0/24", "10.9.0.5/32", "192.0.2.1", "198.51.100.7", 7, 0xC0FFEE01)
    _same(put_policy(policy, INTERFACE), PUT, head="policy")


@little
def test_the_end_of_a_policy_is_written_as_iproute2_writes_it() -> None:
    name = PolicyName("forward", "10.0.0.0/24", "10.9.0.5/32")
    _same(remove_policy(name, INTERFACE), DROP, head="policy-id")


@little
def test_the_end_of_an_sa_names_it_as_iproute2_does() -> None:
    request = remove_state(StateName(0xC0FFEE01, "198.51.100.7"))
    head = STRUCTURES["sa-id"].octets
    assert request.kind == int(DELETE["kind"])
    # iproute2 adds the source, which the kernel does not ask for.
    assert request.body == _octets(DELETE)[:head]


def test_every_structure_has_the_size_that_the_compiler_gives_it() -> None:
    for name, row in STRUCTURES.items():
        assert structure(name).octets == row.octets


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(MisuseError, match="selector has no"):
        structure("selector").pack({"colour": 1})


@pytest.mark.parametrize(
    ("cipher", "integrity"), [("aes-cbc", ""), ("aes-gcm-16", "hmac-sha1-96"), ("idea-cbc", "")]
)
def test_a_suite_the_kernel_has_no_name_for_is_refused(cipher: str, integrity: str) -> None:
    state = State(1, "192.0.2.1", "192.0.2.2", cipher, integrity, bytes(16), b"", bytes(20), 1)
    with pytest.raises(MisuseError, match="no name"):
        add_state(state, INTERFACE)


def test_keys_are_not_shown_when_an_order_is_printed() -> None:
    assert "\\x0f" not in repr(GCM_STATE)
    assert "cipher_key" not in repr(GCM_STATE)


def test_an_sa_reads_back_as_what_was_written() -> None:
    seen = read_state(add_state(GCM_STATE, INTERFACE).body)
    assert (seen.spi, seen.destination, seen.interface) == (0xC0FFEE01, "198.51.100.7", INTERFACE)
    assert (seen.octets, seen.packets, seen.replayed, seen.not_authentic) == (0, 0, 0, 0)


def test_a_policy_reads_back_with_its_interface() -> None:
    policy = Policy("in", "10.9.0.5/32", "10.0.0.0/24", "198.51.100.7", "192.0.2.1", 7)
    name = PolicyName("in", "10.9.0.5/32", "10.0.0.0/24")
    assert read_policy(put_policy(policy, INTERFACE).body) == (name, INTERFACE)


@pytest.mark.parametrize(("end", "length"), [("10.9.0.0", 33), ("10.9.0.5", 8)])
def test_a_policy_between_what_are_no_networks_is_none_of_ours(end: str, length: int) -> None:
    body = structure("policy").pack(
        {
            "selector.family": FAMILIES[4],
            "selector.source": ip_address(end).packed,
            "selector.source_length": length,
        }
    )
    assert read_policy(body) is None


def test_an_answer_cut_short_is_an_error_of_the_wire() -> None:
    with pytest.raises(WireError):
        read_state(add_state(GCM_STATE, INTERFACE).body[:100])


def test_an_attribute_without_room_for_its_header_is_an_error_of_the_wire() -> None:
    body = add_state(GCM_STATE, INTERFACE).body[: STRUCTURES["sa"].octets]
    with pytest.raises(WireError, match="an attribute of 2 octets"):
        read_state(body + struct.pack("=HH", 2, 1))


@pytest.mark.parametrize("hard", [0, 1])
def test_a_worn_sa_is_named_and_whether_it_is_gone(hard: int) -> None:
    body = add_state(GCM_STATE, INTERFACE).body[: STRUCTURES["sa"].octets]
    news = read_news(MESSAGES["expire"], body + struct.pack("=B7x", hard))
    assert news == Expired(0xC0FFEE01, "198.51.100.7", hard=bool(hard))


def test_a_nat_that_changed_its_mind_is_told_with_the_new_address() -> None:
    body = structure("mapping").pack(
        {
            "id.destination": bytes([192, 0, 2, 1]),
            "id.spi": 5,
            "id.family": 2,
            "new_source": bytes([203, 0, 113, 9]),
            "new_port": 40000,
        }
    )
    assert read_news(MESSAGES["mapping"], body) == Remapped(5, "192.0.2.1", "203.0.113.9", 40000)


def test_what_else_the_kernel_tells_is_passed_over() -> None:
    assert read_news(MESSAGES["new-sa"], b"") is None


def test_a_refusal_is_its_errno() -> None:
    assert read_error(struct.pack("=i", -17)) == 17
    assert read_error(struct.pack("=i", 0)) == 0


@pytest.mark.parametrize(
    "change", [{"soft_octets": 1 << 64}, {"spi": -1}, {"source_port": 1 << 16}]
)
def test_a_number_that_has_no_room_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(MisuseError, match="has no room for a number"):
        add_state(replace(GCM_STATE, **change), INTERFACE)


@pytest.mark.parametrize("number", [17, -4096])
def test_what_is_no_errno_is_an_error_of_the_wire(number: int) -> None:
    with pytest.raises(WireError, match="an error of number"):
        read_error(struct.pack("=i", number))


def test_the_question_for_all_sas_is_a_dump() -> None:
    assert all_states().flags & 0x300 == 0x300


@given(highest=st.integers(0, 5000), seen=st.integers(0, (1 << WINDOW) - 1))
def test_a_replay_window_survives_the_kernels_ring(highest: int, seen: int) -> None:
    counted = seen & ((1 << min(WINDOW, highest)) - 1)  # before number 1 nothing came
    ring = ring_of(counted, highest)
    assert len(ring) == WINDOW // 8
    assert window_of(ring, highest) == counted.to_bytes(WINDOW // 8, "big")


def test_the_ring_has_a_number_where_the_kernel_looks_for_it() -> None:
    # net/xfrm/xfrm_replay.c: bit (n - 1) % window, words of 32 bits.
    words = struct.unpack("=32I", ring_of(0b1, 34))
    assert [at for at, word in enumerate(words) if word] == [1]
    assert words[1] == 1 << 1
