"""The vault's door: an answer for each exchange, once, and never a key."""

from __future__ import annotations

import socket

from culvert.driver.keys_door import BURST, KeysDoor, RemoteKeys
from culvert.driver.line import Line
from culvert.driver.message import written
from culvert.ike.wire.identity import KEY_ID, Identity
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.vault.group_keys import GroupKeys

STAFF = Identity(KEY_ID, b"staff")
KEY = "the key of the staff"


def opened() -> tuple[RemoteKeys, GroupKeys, socket.socket]:
    keys = GroupKeys({"staff": Secret(KEY)}, SeededRandom(1))
    ours, theirs = socket.socketpair()
    KeysDoor(keys.skeyid, lambda: 0.0).serve(ours)
    return RemoteKeys(Line(theirs), SeededRandom(2)), keys, theirs


def test_the_worker_gets_what_the_vault_derives() -> None:
    remote, keys, end = opened()
    with end:
        found = remote.skeyid(STAFF, "sha2-256", b"nonce i", b"nonce r")
        assert found == keys.skeyid(STAFF, "sha2-256", b"nonce i", b"nonce r")
        assert found.group == "staff"


def test_nobody_has_the_same_exchange_derived_twice() -> None:
    remote, _, end = opened()
    with end:
        right = remote.skeyid(STAFF, "sha2-256", b"nonce i", b"nonce r")
        again = remote.skeyid(STAFF, "sha2-256", b"nonce i", b"nonce r")
        assert again.skeyid != right.skeyid
        assert len(again.skeyid) == len(right.skeyid)
        assert again.group == ""


def test_a_worker_that_asks_at_speed_gets_decoys() -> None:
    remote, _, end = opened()
    with end:
        for number in range(int(BURST)):
            assert remote.skeyid(STAFF, "sha1", b"i", b"%d" % number).group == "staff"
        assert remote.skeyid(STAFF, "sha1", b"i", b"one more").group == ""


def test_who_asks_for_anything_else_is_shut_out() -> None:
    for asked in (
        ["give me", "the key"],
        {"key": "staff"},
        [STAFF, "no such hash", b"i", b"r"],
        [Identity(300, b"staff"), "sha1", b"i", b"r"],
    ):
        _, _, end = opened()
        with end:
            end.sendall(written(asked).encode() + b"\n")
            end.settimeout(5)
            assert end.recv(100) == b""
