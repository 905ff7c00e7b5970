"""Names and passwords that never pass through an argument."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest
from click.testing import CliRunner

from culvert.cli.credentials import (
    LONGEST_LINE,
    CredentialError,
    Credentials,
    ask,
    options,
    read_descriptor,
)
from culvert.cli.secret_service import SecretService
from culvert.errors import PlatformError
from culvert.secret import Secret


@pytest.fixture
def pipe() -> Iterator[Callable[[bytes], int]]:
    opened: list[int] = []

    def with_octets(octets: bytes) -> int:
        read, write = os.pipe()
        opened.append(read)
        os.write(write, octets)
        os.close(write)
        return read

    yield with_octets
    for descriptor in opened:
        os.close(descriptor)


class Drawer(keyring.backend.KeyringBackend):
    """A keyring in memory, behind the real library's own interface."""

    priority = 1  # pyright: ignore[reportAssignmentType]  # as the library's own back ends do

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library's
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    before = keyring.get_keyring()
    made = Drawer()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.mark.requirement("S0-43", part="reading from a file descriptor")
def test_one_line_is_read_and_the_rest_is_left(pipe: Callable[[bytes], int]) -> None:
    descriptor = pipe("gr\u00fcn \r\nrest".encode())
    assert read_descriptor(descriptor) == Secret("grün ")
    assert os.read(descriptor, 10) == b"rest"


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "nothing stands"),
        (b"\nx", "nothing stands"),
        (b"\xff\n", "not UTF-8"),
        (b"x" * (LONGEST_LINE + 1), "octets"),
    ],
)
def test_a_line_that_cannot_be_a_password_is_refused(
    pipe: Callable[[bytes], int], octets: bytes, says: str
) -> None:
    with pytest.raises(CredentialError, match=says):
        read_descriptor(pipe(octets))


def test_a_descriptor_that_is_not_open_is_told() -> None:
    with pytest.raises(CredentialError, match=r"999 cannot be read .*`999< FILE`"):
        read_descriptor(999)


def test_a_prepared_password_is_given_once_and_never_replayed() -> None:
    known = Credentials("office", Secret("x"), interactive=False)
    assert known.answer(["password"]) == {"password": Secret("x")}
    assert known.answer(["password"]) is None
    again = Credentials("office", Secret("x"), interactive=False)
    assert again.answer(["password"], repeated=True) is None


def test_nobody_to_ask_means_giving_up() -> None:
    assert Credentials("office", interactive=False).answer(["user", "password"]) is None


def test_without_a_terminal_the_ways_out_are_named() -> None:
    with pytest.raises(CredentialError, match="--password-fd or --keyring"):
        ask("password")


def test_the_keyring_gives_keeps_and_erases(drawer: Drawer) -> None:
    service = SecretService()
    service.put("office", "password", Secret("x"))
    assert drawer.held == {("culvert", "office/password"): "x"}
    known = Credentials("office", service=service, interactive=False)
    assert known.answer(["password"]) == {"password": Secret("x")}
    assert service.erase("office", "password")
    assert not service.erase("office", "password")
    assert service.get("office", "password") is None


def test_a_machine_without_keyring_says_so() -> None:
    before = keyring.get_keyring()
    nothing = keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]  # the library's
    keyring.set_keyring(nothing)
    try:
        with pytest.raises(PlatformError, match="does not answer"):
            SecretService().get("office", "password")
    finally:
        keyring.set_keyring(before)


def test_a_missing_library_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(PlatformError, match="not installed") as caught:
        SecretService()
    assert "culvert[keyring]" in caught.value.action


@click.command()
@options
def command(credentials: Callable[[str], Credentials]) -> None:
    values = credentials("office").answer(["password"])
    click.echo("none" if values is None else values["password"].reveal())


def test_the_options_reach_what_answers(pipe: Callable[[bytes], int]) -> None:
    run = CliRunner().invoke
    assert run(command, ["--password-fd", str(pipe(b"x\n"))]).output == "x\n"
    assert run(command, ["--no-input"]).output == "none\n"
    assert run(command, ["--password-fd", "3", "--password-stdin"]).exit_code == 2


def test_looking_whether_a_password_is_held_does_not_spend_it() -> None:
    known = Credentials("office", Secret("x"), interactive=False)
    assert known.holds("password")
    assert known.answer(["password"]) == {"password": Secret("x")}
    assert not Credentials("office").holds("password")


PROFILE = """\
host = "192.0.2.1"
authentication = "{}"
group = "sales"
group_key = "of the group"
legacy = ["aggressive-psk"]
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--user", "vpnclient1"],
            "a password is missing and --no-input was given; --password-fd, --password-stdin or "
            "the keychain give one",
        ),
        (["--password-stdin"], "a user name is missing and --no-input was given"),
    ],
)
@pytest.mark.parametrize("authentication", ["xauth-psk", "hybrid"])
def test_what_no_input_leaves_out_is_told_before_anything_is_sent(
    tmp_path: Path, authentication: str, words: list[str], says: str
) -> None:
    """No service is started either: its state directory is not made."""
    profile = tmp_path / "office.toml"
    profile.write_text(PROFILE.format(authentication))
    profile.chmod(0o600)
    state = tmp_path / "state"
    line = [sys.executable, "-m", "culvert", "up", str(profile), "--no-input", *words]
    line += ["--state-dir", str(state), "--socket", str(tmp_path / "socket")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, input="word\n")
    assert done.returncode == 2
    assert says in done.stderr
    assert not state.exists()


SHOW = """\
from culvert.cli.credentials import Credentials, read_input
print("got", len({call}))
"""


def in_terminal(call: str, typed: bytes) -> tuple[str, int]:
    """What a person sees who types this at a terminal of their own."""
    ours, theirs = pty.openpty()
    root = Path(__file__).parents[2] / "src"
    program = subprocess.Popen(
        [sys.executable, "-c", SHOW.format(call=call)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(root), "TERM": "dumb"},
    )
    os.close(theirs)
    seen = b""
    typed_at_prompt = False
    try:
        while octets := os.read(ours, 1024):
            seen += octets
            if not typed_at_prompt and seen.endswith(b": "):
                os.write(ours, typed)
                typed_at_prompt = True
    except OSError:  # Linux tells the end of a terminal so
        pass
    finally:
        os.close(ours)
    return seen.decode(), program.wait(timeout=10)


@pytest.mark.requirement("S0-43", part="reading from the standard input, not echoed")
def test_a_typed_password_is_not_echoed() -> None:
    seen, status = in_terminal("read_input().reveal()", b"hunter2\n")
    assert (status, "got 7" in seen, "hunter2" in seen) == (0, True, False)


def test_a_typed_name_is_seen_and_the_message_is_harmless() -> None:
    call = "Credentials('x').answer(['user'], message='Hi\\x1b[2J')['user'].reveal()"
    seen, status = in_terminal(call, b"ann\n")
    assert (status, "got 3" in seen, "ann" in seen, "\x1b" in seen) == (0, True, True, False)
