"""Does the machine believe our ICMP answers when they come out of the TUN?"""

from __future__ import annotations

import select
import socket
from contextlib import closing

import pytest

from culvert.inet.icmp import too_big
from culvert.netio.tun import Tun
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14  # linux/in.h; the socket module lacks them


@pytest.mark.parametrize("strict", ["0", "1"])
def test_the_kernel_learns_the_inner_mtu_from_our_answer(strict: str) -> None:
    with namespace("icmp") as name:
        with inside(name):
            tun = Tun.open()
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with closing(tun), sender:
            ip("-n", name, "addr", "add", "10.1.0.5/32", "dev", tun.name)
            ip("-n", name, "link", "set", tun.name, "mtu", "1500", "up")
            ip("-n", name, "route", "add", "192.168.2.0/24", "dev", tun.name)
            ip("netns", "exec", name, "sysctl", "-qw", f"net.ipv4.conf.all.rp_filter={strict}")
            sender.bind(("10.1.0.5", 0))
            sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            sender.connect(("192.168.2.251", 9))
            sender.send(bytes(1440))
            packet = next_udp(tun)
            answer = too_big(packet, 1422)
            assert answer is not None
            tun.write_batch([answer])
            with pytest.raises(OSError, match="Message too long"):
                for _ in range(100):
                    sender.send(bytes(1440))
            assert sender.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1422


def next_udp(tun: Tun) -> bytes:
    """The next IPv4 UDP packet the machine routes into the TUN."""
    while select.select([tun], [], [], 5.0)[0]:
        for packet in tun.read_batch():
            if packet[0] == 0x45 and packet[9] == socket.IPPROTO_UDP:
                return packet
    raise AssertionError("nothing came out of the TUN")
