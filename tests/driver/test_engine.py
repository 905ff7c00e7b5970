"""Which engine is chosen, why, and that whoever asks for one gets it or is told why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from culvert.driver import engine, user_engine
from culvert.driver.engine import choose, kernel_ipsec
from culvert.driver.kernel_limits import beyond
from culvert.driver.shared_object import ELF, cut_short, fingerprint
from culvert.driver.user_engine import CURES, ENGINE_VARIABLE, LIBCRYPTO_VARIABLE, Choice
from culvert.errors import PlatformError
from culvert.esp import batch
from culvert.ike.suite import EspSuite
from culvert.netio.xfrm import OTHER_ENGINE
from culvert.rng import SeededRandom
from datapath.engines import kernel


def test_the_compiled_engine_is_taken_where_it_is() -> None:
    kernel()
    found = choose("user", environment={})
    assert found.name == "kernel"
    assert found.reason.startswith("compiled kernel with ")
    assert found.make(SeededRandom(1)).name == "kernel"


def test_pure_python_serves_when_asked_for_by_option_or_environment() -> None:
    for found in (
        choose("python", environment={}),
        choose(environment={ENGINE_VARIABLE: "python"}),
    ):
        assert found.name == "python"
        assert found.reason == "pure Python, as asked for"
        assert found.make(SeededRandom(1)).name == "python"


def test_the_option_wins_over_the_environment() -> None:
    assert choose("python", environment={ENGINE_VARIABLE: "kernel"}).name == "python"


def test_without_a_usable_libcrypto_pure_python_serves_and_the_reason_is_told() -> None:
    kernel()
    found = choose("user", environment={LIBCRYPTO_VARIABLE: "libnowhere.so"})
    assert found.name == "python"
    assert "no libcrypto was found" in found.reason


def test_an_engine_that_was_demanded_and_cannot_be_had_is_an_error() -> None:
    with pytest.raises(PlatformError, match="cannot be used") as caught:
        choose("kernel", environment={LIBCRYPTO_VARIABLE: "libnowhere.so"})
    assert "CULVERT_ENGINE" in caught.value.action


def test_the_advice_serves_those_who_have_no_option_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`culvert up` has none: the variable is what its user has set."""
    monkeypatch.setattr(engine, "kernel_ipsec", lambda: "this kernel has none")
    with pytest.raises(PlatformError) as caught:
        choose(environment={ENGINE_VARIABLE: "xfrm"})
    assert "leave out CULVERT_ENGINE=xfrm" in caught.value.action
    assert "of the service or gateway" in caught.value.action
    assert OTHER_ENGINE.startswith("let user space carry it: CULVERT_ENGINE=user")


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(PlatformError) as caught:
        choose(environment={ENGINE_VARIABLE: "warp"})
    assert "kernel" in caught.value.action


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a compiled engine is looked for; it is there only if the test puts it there."""
    place = tmp_path / "_batch.so"
    monkeypatch.setattr(batch, "SHARED_OBJECT", str(place))
    user_engine._kernel.cache_clear()
    yield place
    user_engine._kernel.cache_clear()


@pytest.mark.parametrize(
    ("content", "why", "cure"),
    [
        (None, "it was not built (no C compiler)", "install culvert where a C compiler is"),
        (b"no shared object", "it cannot be loaded", "install culvert anew"),
        (ELF, "is damaged", "install culvert anew"),
        (ELF + b"\2\1\1" + b"\0" * 50, "is damaged", "install culvert anew"),
    ],
)
def test_each_way_of_having_no_library_has_its_own_cure(
    place: Path, content: bytes | None, why: str, cure: str
) -> None:
    if content is not None:
        place.write_bytes(content)
    found = choose("user", environment={})
    assert (found.name, found.cure) == ("python", cure)
    assert why in found.reason
    with pytest.raises(PlatformError) as caught:
        choose("kernel", environment={})
    assert caught.value.action.endswith(f"; or {cure}")


@pytest.mark.parametrize("missing", [1, 100, 0x1000, 0.5, 0.9])
def test_a_library_cut_short_is_not_loaded_for_that_kills(place: Path, missing: float) -> None:
    built = Path(batch.__file__).parent / "_batch.so"
    if not built.exists():
        pytest.skip("no compiled engine was built")
    whole = built.read_bytes()
    place.write_bytes(whole)
    assert not cut_short(place)
    left = len(whole) - missing if missing >= 1 else len(whole) * missing
    place.write_bytes(whole[: int(left)])
    found = choose("user", environment={})
    assert f"{place} is damaged" in found.reason


@pytest.mark.parametrize(("order", "wide"), [("little", 1), ("big", 1), ("big", 2)])
def test_the_end_is_found_in_every_kind_of_elf(place: Path, order: str, wide: int) -> None:
    """A header, then 200 octets up to a table of three entries with 40 octets each."""
    offset, octets, entries = (0x20, 4, 0x2E) if wide == 1 else (0x28, 8, 0x3A)
    header = bytearray(64)
    header[:6] = ELF + bytes((wide, 1 if order == "little" else 2))
    endian: Literal["little", "big"] = "little" if order == "little" else "big"
    header[offset : offset + octets] = (200).to_bytes(octets, endian)
    header[entries : entries + 4] = (40).to_bytes(2, endian) + (3).to_bytes(2, endian)
    place.write_bytes(header.ljust(320, b"x"))
    assert not cut_short(place)
    place.write_bytes(header.ljust(319, b"x"))
    assert cut_short(place)


def test_what_was_asked_for_is_what_to_leave_out() -> None:
    assert choose(environment={ENGINE_VARIABLE: "python"}).cure == "leave out CULVERT_ENGINE=python"
    assert choose("python", environment={}).cure == "leave out --engine python"
    other = choose("user", environment={LIBCRYPTO_VARIABLE: "libnowhere.so"})
    assert other.cure != ""


def test_a_library_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    libcrypto = kernel().libcrypto
    monkeypatch.setattr(batch, "VERSION", batch.VERSION + 1)
    found = batch.load([libcrypto])
    assert isinstance(found, batch.Unusable)
    assert "another version" in found.why
    assert CURES[found.fault] == "install culvert anew"


def test_a_change_of_any_source_changes_their_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(tmp_path) == ""
    (tmp_path / "batch").mkdir()
    header = tmp_path / "batch" / "a.h"
    header.write_text("int a;")
    first = fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing that is compiled")
    assert fingerprint(tmp_path) == first
    header.write_text("int b;")
    second = fingerprint(tmp_path)
    header.rename(tmp_path / "a.h")
    assert len({first, second, fingerprint(tmp_path)}) == 3


def test_the_kernels_ipsec_is_had_where_it_is_and_an_error_else() -> None:
    if not kernel_ipsec():
        assert choose("xfrm", environment={}).name == "xfrm"
        return
    with pytest.raises(PlatformError, match="the kernel's IPsec cannot be used"):
        choose("xfrm", environment={})


def test_of_itself_the_kernels_ipsec_carries_where_it_is_and_user_space_tells_why_not() -> None:
    found = choose(environment={})
    why = kernel_ipsec()
    user = choose("user", environment={})
    if not why:
        assert (found.name, found.user) == ("xfrm", user)
        return
    assert found.name == user.name
    assert found.reason == f"{user.reason}; not the kernel's IPsec, for {why}"
    assert choose("auto", environment={ENGINE_VARIABLE: "python"}).name == user.name


def test_what_the_kernel_cannot_carry_is_given_to_user_space_with_the_reason() -> None:
    user = Choice(None, "pure Python")
    kernels = Choice(None, "the kernel's", ipsec=True, user=user)
    assert kernels.name == "xfrm"
    assert kernels.beside("") is kernels
    other = kernels.beside("transport mode is not done there")
    assert (other.name, other.reason) == (
        "python",
        "pure Python, for transport mode is not done there",
    )
    assert user.beside("whatever") is user


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"tcp": True}, "TCP"),
        ({"udp": True}, "UDP"),
        ({"transport": True}, "transport"),
        ({"itself": True}, "itself"),
        ({"closed": True}, "fail_closed"),
        ({"cut": True}, "fragmentation"),
    ],
)
def test_each_thing_beyond_the_kernel_is_named(wanted: dict[str, bool], word: str) -> None:
    assert word in beyond((), **wanted)
    assert "00 and 01" in beyond((), ("natt-early",))
    assert "IPComp" in beyond([EspSuite.named("aes128-sha1-deflate")])
    assert beyond(()) == ""
