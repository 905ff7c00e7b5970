"""Store in keychain: with a real keyring, a locked one and none, a connection asks once (S1-74)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from culvert.lab.lab import Lab
from interop.ours import Done, OurClient, OurGateway
from interop.peers.credentials import GROUP_KEY, PASSWORD
from interop.peers.keyring import home, keyring

pytestmark = [pytest.mark.root, pytest.mark.peer("gnome-keyring")]

SERVES_INSTEAD = "the encrypted file serves instead"


@pytest.fixture
def client(lab: Lab) -> Iterator[OurClient]:
    with (
        OurGateway(lab, group={"save_password": True}),
        OurClient(lab, profile={"keychain": True}) as running,
    ):
        yield running


@contextmanager
def at(environment: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


def connect(client: OurClient, *, typed: bool) -> Done:
    """Up and down; ``typed``: the password is given, else nobody is there to ask."""
    words = ("up", str(client.write_profile()))
    if typed:
        done = client.culvert(*words, "--password-stdin", given=f"{PASSWORD}\n")
    else:
        done = client.culvert(*words, "--no-input")
    client.down()
    return done


def asks_nothing(client: OurClient) -> Done:
    done = connect(client, typed=False)
    assert done.status == 0, done.err
    return done


@pytest.mark.requirement("S1-74")
def test_ticked_the_second_connect_asks_nothing(client: OurClient, tmp_path: Path) -> None:
    with keyring(tmp_path) as desktop, at(desktop):
        assert connect(client, typed=False).status, "there is nothing yet"
        first = connect(client, typed=True)
        assert first.status == 0, first.err
        assert "Kept in the keychain: password" in first.err
        assert SERVES_INSTEAD not in asks_nothing(client).err
        assert not list(tmp_path.rglob("keychain.*")), "the keyring alone has it"
    with keyring(tmp_path) as desktop, at(desktop):
        asks_nothing(client)
        assert client.culvert("profile", "list").status == 0


@pytest.mark.requirement("S1-74")
def test_unticked_it_asks_each_time(client: OurClient, tmp_path: Path) -> None:
    with keyring(tmp_path) as desktop, at(desktop):
        assert connect(client, typed=True).status == 0
        client.profile = {"keychain": False}
        unticked = connect(client, typed=False)
        assert unticked.status
        assert connect(client, typed=True).status == 0
        assert connect(client, typed=False).status


@pytest.mark.requirement("S1-74")
@pytest.mark.parametrize("there", ["locked", "absent"])
def test_without_a_keyring_the_encrypted_file_serves_and_that_is_said(
    client: OurClient, tmp_path: Path, there: str
) -> None:
    with at(home(tmp_path)):
        if there == "absent":
            _falls_back(client, tmp_path)
            return
    with keyring(tmp_path) as desktop, at(desktop):
        assert connect(client, typed=True).status == 0, "there is a keyring that can be locked"
    with keyring(tmp_path, locked=True) as desktop, at(desktop):
        _falls_back(client, tmp_path)


def _falls_back(client: OurClient, folder: Path) -> None:
    first = connect(client, typed=True)
    assert first.status == 0, first.err
    assert "keyring does not answer" in first.err
    assert first.err.count(SERVES_INSTEAD) == 1
    assert SERVES_INSTEAD in asks_nothing(client).err
    files = list(folder.rglob("keychain.*"))
    assert {file.name for file in files} == {"keychain.json", "keychain.key"}
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert PASSWORD.encode() not in file.read_bytes()


@pytest.mark.requirement("S1-74")
def test_the_group_key_is_kept_too_and_a_forbidden_password_is_not(
    lab: Lab, tmp_path: Path
) -> None:
    with (
        OurGateway(lab),
        OurClient(lab, profile={"keychain": True}) as client,
        keyring(tmp_path) as desktop,
        at(desktop),
    ):
        file = client.write_profile()
        lines = file.read_text("utf-8").splitlines()
        file.write_text("\n".join(line for line in lines if not line.startswith("group_key")))
        name = file.stem
        store = {"CULVERT_PROFILES": str(file.parent)}
        with at(store):
            kept = client.culvert(
                "profile", "remember", name, "--group-key", "--stdin", given=f"{GROUP_KEY}\n"
            )
            assert kept.status == 0, kept.err
            for _ in range(2):
                up = client.culvert("up", name, "--password-stdin", given=f"{PASSWORD}\n")
                assert up.status == 0, up.err
                assert "Kept" not in up.err
                client.down()
            assert client.culvert("up", name, "--no-input").status, "the password is asked for"
