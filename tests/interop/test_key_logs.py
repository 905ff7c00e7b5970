"""Key logs and captures of both our ends in the lab, read by the explainer and by Wireshark."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, until
from interop.pat import mapped

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

PINGS = 3
OF_DHCP = 68
"""What the PAT makes of the client's port 500; it draws any below 512, and Wireshark goes by it."""


@dataclass(frozen=True)
class Watched:
    """The files of one run: connect, three pings, disconnect."""

    gateway: OurGateway
    client: OurClient
    files: Path

    def of(self, end: str, kind: str) -> Path:
        return self.files / f"{end}.{kind}"

    def explained(self, end: str, keys_of: str) -> str:
        words = ("explain", str(self.of(end, "pcap")), "--keys", str(self.of(keys_of, "keys")))
        done = self.client.culvert(*words)
        assert done.status == 0, done.err
        return done.out


@pytest.fixture(scope="module")
def watched(lab: Lab) -> Iterator[Watched]:
    files = lab.state / "watched"
    files.mkdir()

    def options(end: str) -> tuple[str, ...]:
        return ("--key-log", str(files / f"{end}.keys"), "--capture", str(files / f"{end}.pcap"))

    with (
        mapped(lab, {"client1": OF_DHCP}, local=500),
        OurGateway(lab, options=options("gateway")) as gateway,
        OurClient(lab, options=options("client")) as client,
    ):
        client.up()
        assert lab.ping("client1", topology.SERVER, count=PINGS)
        client.down()
        gateway.wait_until_empty()
        until("the client has written", (files / "client.pcap").exists, seconds=5)
        gateway.stop()
        yield Watched(gateway, client, files)


@pytest.mark.parametrize("end", ["client", "gateway"])
@pytest.mark.parametrize("keys_of", ["client", "gateway"])
def test_either_capture_is_opened_with_either_key_log(
    watched: Watched, end: str, keys_of: str
) -> None:
    told = " ".join(watched.explained(end, keys_of).split())  # however wide it is printed
    for phrase in (
        "The gateway asks for XAUTH_USER_NAME, XAUTH_USER_PASSWORD",
        "The login is accepted.",
        "The address in the tunnel is 40.1.1.1.",
        "Networks of the initiator: 40.1.1.1/32 ===",
        "Phase 2 stands: packets can travel.",
        "The initiator ends the connection.",
    ):
        assert phrase in told, f"{phrase}\n{told}"
    assert f"ESP packets: {PINGS} from" in told


@pytest.mark.parametrize("end", ["client", "gateway"])
def test_both_files_are_for_their_owner_alone_and_told_of(watched: Watched, end: str) -> None:
    for kind in ("keys", "pcap"):
        assert stat.S_IMODE(watched.of(end, kind).stat().st_mode) == 0o600
    program = watched.client if end == "client" else watched.gateway
    assert [row["fields"]["path"] for row in program.events("service.key-log")] == [
        str(watched.of(end, "keys"))
    ]
    assert program.events("service.capture")


def test_both_ends_wrote_the_same_keys_of_ike(watched: Watched) -> None:
    def ike(end: str) -> set[str]:
        lines = watched.of(end, "keys").read_text().splitlines()
        return {line for line in lines if line[:1] not in ('"', "#")}

    assert len(ike("client")) == 1
    assert ike("client") == ike("gateway")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="Wireshark's tshark is not installed")
def test_wireshark_decrypts_ike_and_esp_with_them(watched: Watched, tmp_path: Path) -> None:
    lines = watched.of("gateway", "keys").read_text().splitlines(keepends=True)
    home = tmp_path / "wireshark"
    home.mkdir()
    (home / "ikev1_decryption_table").write_text(
        "".join(line for line in lines if not line.startswith('"'))
    )
    (home / "esp_sa").write_text("".join(line for line in lines if line.startswith('"')))
    done = subprocess.run(
        [
            *("tshark", "-r", str(watched.of("gateway", "pcap")), "-O", "isakmp,icmp"),
            *("-o", "esp.enable_encryption_decode:TRUE", "-d", f"udp.port=={OF_DHCP},isakmp"),
        ],
        env={"WIRESHARK_CONFIG_DIR": str(home), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (began,) = watched.gateway.events("ike.phase1-started")
    assert began["fields"]["peer"].endswith(f":{OF_DHCP}")
    assert "XAUTH_USER_NAME" in done.stdout
    assert "INTERNAL_IP4_ADDRESS" in done.stdout
    assert done.stdout.count("(Echo (ping) re") == 2 * PINGS


def test_neither_is_written_unasked(watched: Watched) -> None:
    assert {file.name for file in watched.files.iterdir()} == {
        f"{end}.{kind}" for end in ("client", "gateway") for kind in ("keys", "pcap")
    }
    assert watched.gateway.options and watched.client.options
    with OurGateway(watched.gateway.lab) as plain:
        assert len(plain.events("service.key-log")) == 1  # that of the run before
