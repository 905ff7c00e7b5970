"""Key logs: what their lines are, who may read them, and what a captured worker cannot write."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from culvert.driver.keylog import KeyLog, lines
from culvert.driver.message import MessageError
from culvert.driver.privatefile import PrivateFile
from culvert.effects import InstallSa, SaHalf
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import Keyed

PAIR = InstallSa(
    1,
    1,
    "aes-cbc",
    "hmac-sha1-96",
    SaHalf(0x0102, b"\xaa" * 16, b"", b"\xbb" * 20),
    SaHalf(0x0304, b"\xcc" * 16, b"", b"\xdd" * 20),
    ("10.0.0.0/8",),
    ("10.1.0.1/32",),
    ("192.0.2.1", 4500),
    4500,
    udp_encapsulated=True,
)


def test_both_directions_have_a_line_as_wireshark_reads_them() -> None:
    inbound, outbound = lines(PAIR)
    assert inbound == (
        f'"IPv4","192.0.2.1","*","0x00000102","AES-CBC [RFC3602]","0x{"aa" * 16}",'
        f'"HMAC-SHA-1-96 [RFC2404]","0x{"bb" * 20}"\n'
    )
    assert outbound.startswith('"IPv4","*","192.0.2.1","0x00000304"')


def test_an_aead_has_its_salt_behind_the_key_and_no_integrity() -> None:
    half = SaHalf(1, b"\x01" * 16, b"\x02" * 4, b"")
    pair = replace(PAIR, cipher="aes-gcm-16", integrity="", inbound=half, peer=("2001:db8::1", 500))
    line = next(lines(pair))
    assert line.startswith('"IPv6","2001:db8::1","*"')
    assert line.endswith(f'"0x{"01" * 16}{"02" * 4}","NULL",""\n')


@pytest.mark.parametrize(
    "wrong",
    [
        {"cipher": 'x"\n"IPv4'},
        {"integrity": "none"},
        {"peer": ('192.0.2.1","*\n', 500)},
        {"peer": ("gateway", 500)},
    ],
)
def test_what_no_worker_can_have_made_is_not_written(wrong: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        list(lines(replace(PAIR, **wrong)))  # type: ignore[arg-type]


def test_a_scope_behind_an_address_is_left_out() -> None:
    line = next(lines(replace(PAIR, peer=("fe80::1%eth0", 500))))
    assert '"fe80::1"' in line


def test_the_file_is_for_its_owner_alone_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("something longer than what follows, and readable by everybody\n" * 99)
    path.chmod(0o666)
    told: list[LogEvent] = []
    log = KeyLog(path, told.append)
    log.add(Keyed(b"\x01" * 8, b"\x02" * 16))
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines()[1:] == [f"{'01' * 8},{'02' * 16}"]
    assert [event.code for event in told] == ["service.key-log"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(PlatformError, match="cannot be written"):
        PrivateFile(tmp_path / "link", 100, print)
    assert not (tmp_path / "target").exists()


def test_what_is_to_be_kept_is_not_written_over_and_the_way_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "office.record"
    path.touch()  # made ready for it, and empty: there is nothing to lose
    first = PrivateFile(path, 100, print, kept=True)
    assert first.write(b"the session that failed")
    first.close()
    with pytest.raises(PlatformError, match="is there already") as refused:
        PrivateFile(path, 100, print, kept=True)
    assert refused.value.action == "Name another file, or remove this one first."
    assert path.read_bytes() == b"the session that failed"
    PrivateFile(path, 100, print).close()
    assert path.read_bytes() == b"", "who asks for no such thing begins anew"


def test_a_file_ends_whole_at_its_limit_and_says_so_once(tmp_path: Path) -> None:
    told: list[LogEvent] = []
    file = PrivateFile(tmp_path / "f", 10, told.append)
    assert file.write(b"12345678")
    assert not file.write(b"abc")
    assert not file.write(b"d")
    assert (tmp_path / "f").read_bytes() == b"12345678"
    assert [event.code for event in told] == ["service.file-ended"]
