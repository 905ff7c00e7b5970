"""Name servers that the gateway hands out: shown, and asked for names of the split domain."""

from __future__ import annotations

import sys

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.ours import OurClient, OurGateway, until

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

NBNS = ("192.168.2.12", "192.168.2.13")
SPLIT = "inside.test"
NAME = f"intranet.{SPLIT}"
ANSWER = "192.168.2.77"

# Answers every question for an IPv4 address with `ANSWER`, having said which name was asked.
NAME_SERVER = """
import socket, sys
here, answer = sys.argv[1], socket.inet_aton(sys.argv[2])
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind((here, 53))
print("ready", flush=True)
while True:
    asked, who = listening.recvfrom(512)
    at, labels = 12, []
    while asked[at]:
        labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    question = asked[12 : at + 5]
    wanted = asked[at + 1 : at + 3] == b"\\0\\1"
    found = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + answer if wanted else b""
    head = asked[:2] + b"\\x84\\0\\0\\1\\0" + bytes((int(wanted),)) + bytes(4)
    print(".".join(labels), who[0], flush=True)
    listening.sendto(head + question + found, who)
"""


def name_server(lab: Lab) -> Spawned:
    command = [sys.executable, "-I", "-c", NAME_SERVER, topology.SERVER, ANSWER]
    running = lab.spawn("server", command, label="name-server")
    until("the name server listens", lambda: "ready" in running.said, seconds=10)
    return running


@pytest.mark.requirement("S3-31")
@pytest.mark.cell("name-servers", "ourselves")
def test_dns_and_nbns_are_shown_and_a_split_domain_is_asked_of_them(lab: Lab) -> None:
    serving = name_server(lab)
    group = {"nbns": list(NBNS), "split_dns": [SPLIT]}
    try:
        with OurGateway(lab, group=group) as gateway, OurClient(lab) as client:
            with client.connected() as row:
                assert row["dns"] == [topology.SERVER]
                assert row["nbns"] == list(NBNS)
                assert row["split_domains"] == [SPLIT]
                said = client.culvert("status").out
                assert all(address in said for address in (topology.SERVER, *NBNS, SPLIT))
                found = lab.run("client1", ["getent", "ahostsv4", NAME]).stdout
                assert found.split()[0] == ANSWER
                assert f"{NAME} {row['assigned_ip']}" in serving.said, "through the tunnel"
            before = serving.said
            lab.run("client1", ["getent", "ahostsv4", NAME], check=False)
            assert serving.said == before, "and afterwards never more"
            gateway.wait_until_empty()
    finally:
        serving.stop()
