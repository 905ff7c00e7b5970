"""A name server of the lab that says what it was asked: HOST ANSWER [NAME...].

It knows NAME..., or without any all names, and has ANSWER for them; others do not exist.
"""

from __future__ import annotations

import socket
import sys

from culvert.inet import dns
from culvert.inet.dns import DnsMessage

NO_SUCH_NAME = 3
POINTER = b"\xc0\x0c"


def main(host: str, answer: str, *names: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((host, dns.PORT))
        print("ready", flush=True)
        while True:
            octets, who = listening.recvfrom(dns.LONGEST_UDP)
            asked = DnsMessage.parse(octets)
            end = 12 + len(asked.name) + 2 + 4
            known = not names or asked.name in names
            count = int(known and asked.kind == dns.ADDRESS)
            flags = 0x8180 | (0 if known else NO_SUCH_NAME)
            record = (dns.ADDRESS, dns.INTERNET, 0, 1, 4)
            tail = b"".join(each.to_bytes(2, "big") for each in record)
            heads = (flags, 1, count, 0, 0)
            head = octets[:2] + b"".join(each.to_bytes(2, "big") for each in heads)
            found = POINTER + tail + socket.inet_aton(answer) if count else b""
            listening.sendto(head + octets[12:end] + found, who)
            print("asked", asked.name, who[0], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
