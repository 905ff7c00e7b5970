"""Obfuscated passwords of Cisco profiles."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.cipher import cbc_encrypt
from culvert.crypto.hash import digest
from culvert.errors import ConfigError
from culvert.profile.obfuscation import LONGEST, decode, encode
from culvert.rng import SeededRandom
from culvert.secret import Secret

VECTORS = Path(__file__).parent.parent / "vectors" / "ikev1.json"


class Fixed:
    """Chance that always gives the same octets: those of the recorded value."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def octets(self, count: int) -> bytes:
        return self._octets[:count]


@pytest.mark.requirement("S4-20", part="enc_GroupPwd")
def test_the_recorded_value_is_read_and_written_octet_for_octet() -> None:
    sample = json.loads(VECTORS.read_text())["enc_grouppwd"]
    assert decode(sample["value"]) == Secret(sample["clear"])
    chance = Fixed(bytes.fromhex(sample["salt20"]))
    assert encode(Secret(sample["clear"]), chance) == sample["value"]


passwords = st.text(st.characters(blacklist_categories=["Cs"]), max_size=60)


@given(passwords, st.integers(0, 2**32))
def test_what_is_written_is_read_back(password: str, seed: int) -> None:
    assert decode(encode(Secret(password), SeededRandom(seed))) == Secret(password)


@given(passwords, st.integers(0, 2**32), st.data())
def test_every_changed_digit_is_noticed(password: str, seed: int, data: st.DataObject) -> None:
    value = encode(Secret(password), SeededRandom(seed))
    # Digits of the first hash also change the key, but only there can two values mean the same.
    at = data.draw(st.integers(40, len(value) - 1))
    changed = "0123456789ABCDEF"[(int(value[at], 16) + 1) % 16]
    with pytest.raises(ConfigError, match="damaged"):
        decode(value[:at] + changed + value[at + 1 :])


@given(st.text(alphabet="0123456789abcdefABCDEF \n", max_size=200) | st.text(max_size=200))
def test_any_text_is_a_password_or_refused(value: str) -> None:
    try:
        decode(value)
    except ConfigError as error:
        assert value.strip() not in str(error) or len(value.strip()) < 12


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "not hexadecimal"),
        ("xyz", "not hexadecimal"),
        ("00" * 39, "too short"),
        ("00" * 40, "wrong length"),
        ("00" * 47, "wrong length"),
        ("00" * 48, "damaged"),
        ("0" * (LONGEST + 2), "more than"),
    ],
)
def test_a_value_cut_short_is_refused_saying_so(value: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        decode(value)


@pytest.mark.parametrize("padding", [b"\x00", b"\x09", b"\x01\x02", b"\x03\x02\x03"])
def test_padding_is_checked_before_it_is_believed(padding: bytes) -> None:
    first = bytes(range(20))
    clear = (b"a" * 8 + padding)[-8:]
    second, third = (digest("sha1", first[:-1] + bytes([first[-1] + step])) for step in (1, 3))
    sealed = cbc_encrypt("3des-cbc", second + third[:4], first[:8], clear)
    with pytest.raises(ConfigError, match="padding"):
        decode((first + digest("sha1", sealed) + sealed).hex())


def test_a_password_from_windows_is_read_as_latin_1() -> None:
    first = bytes(range(20))
    second, third = (digest("sha1", first[:-1] + bytes([first[-1] + step])) for step in (1, 3))
    clear = b"gr\xfcn" + b"\x04" * 4
    sealed = cbc_encrypt("3des-cbc", second + third[:4], first[:8], clear)
    assert decode((first + digest("sha1", sealed) + sealed).hex()) == Secret("grün")


@pytest.mark.peer("vpnc")
def test_vpnc_reads_what_is_written_here() -> None:
    for number, password in enumerate(["a", "12345678", "a longer one, with blanks"]):
        value = encode(Secret(password), SeededRandom(number))
        told = subprocess.run(
            ["/usr/bin/cisco-decrypt", value], capture_output=True, text=True, check=True
        )
        assert told.stdout.rstrip("\n") == password
