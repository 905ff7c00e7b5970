"""Many clients in one process, each a real `Connection` with a UDP socket of its own.

    python tests/soak/crowd.py GATEWAY COUNT GROUP_KEY USER PASSWORD

They come up, then only answer, and send the keepalives of clients behind a NAT. Prints ``up`` when
all are, and at its end, on SIGTERM, one line of JSON: how many are up still, how many questions
of the gateway they answered. No TUN: nothing is routed into these tunnels.
"""

from __future__ import annotations

import heapq
import json
import resource
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from datetime import datetime

from culvert.client.connection import Connection
from culvert.effects import (
    ConfigureMachine,
    Effect,
    InstallSa,
    MachineConfigured,
    Record,
    Resolve,
    Resolved,
    SendIke,
    SendRaw,
)
from culvert.inet.address import Path
from culvert.profile.profile import Profile
from culvert.rng import SystemRandom
from culvert.secret import Secret

AT_ONCE = 20  # connections under way at the same time; more would only wait for each other
NON_ESP_MARKER = bytes(4)
IKE_PORT, NATT_PORT = 500, 4500
LARGEST = 65535
ASLEEP = 1.0  # seconds at most between two looks at whether to end


class Crowd:
    """``count`` clients of the gateway at ``host``, at ``network``.x.y."""

    def __init__(
        self,
        host: str,
        count: int,
        profile: Profile,
        *,
        network: str = "127.1",
        at_once: int = AT_ONCE,
    ) -> None:
        self._host, self._network, self._at_once = host, network, at_once
        self._selector = selectors.DefaultSelector()
        self._began = datetime.now().astimezone(), time.monotonic()
        self._clients = [
            Connection(profile, SystemRandom(), began=self._began) for _ in range(count)
        ]
        self.sockets = [self._socket(number) for number in range(count)]
        self.orders: dict[int, InstallSa] = {}
        """The last pair of SAs of each."""
        self._due: list[tuple[float, int]] = []
        self._started = 0
        self._states = ["idle"] * count
        self._count = Counter(self._states)
        self.questions = 0
        self.ended = False

    def _socket(self, number: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind((f"{self._network}.{number >> 8}.{number & 255}", 0))
        self._selector.register(made, selectors.EVENT_READ, number)
        return made

    @property
    def up(self) -> int:
        return self._count["up"]

    def connect(self) -> None:
        """Bring everybody up; raises when somebody is refused."""
        while (up := self.up) < len(self._clients):
            if lost := self._count["down"]:
                raise SystemExit(f"{lost} clients of {len(self._clients)} were refused")
            while self._started < min(len(self._clients), up + self._at_once):
                number, self._started = self._started, self._started + 1
                self._do(number, self._clients[number].connect(now=time.monotonic()))
            self.once()

    def disconnect(self) -> None:
        """Everybody says goodbye, and is done with."""
        for number, client in enumerate(self._clients):
            self._do(number, client.disconnect(now=time.monotonic()))
            self._selector.unregister(self.sockets[number])
            self.sockets[number].close()
        self._selector.close()

    def once(self) -> None:
        """Wait for the next datagram or timer, and do what it asks for."""
        wait = min(self._due[0][0] - time.monotonic(), ASLEEP) if self._due else ASLEEP
        for key, _ in self._selector.select(max(wait, 0.0)):
            self._receive(key.data)
        while self._due and self._due[0][0] <= time.monotonic():
            _, number = heapq.heappop(self._due)
            client, now = self._clients[number], time.monotonic()
            if client.deadline <= now:
                self._do(number, client.tick(now=now))

    def _receive(self, number: int) -> None:
        sock = self.sockets[number]
        octets, (host, port) = sock.recvfrom(LARGEST)
        encapsulated = port == NATT_PORT
        if encapsulated:
            if not octets.startswith(NON_ESP_MARKER):
                return  # ESP or a keepalive: nothing this crowd is about
            octets = octets[len(NON_ESP_MARKER) :]
        path = Path((sock.getsockname()[0], port), (host, port), encapsulated)
        self._do(number, self._clients[number].receive(octets, path, now=time.monotonic()))

    def _do(self, number: int, effects: list[Effect]) -> None:
        client, sock = self._clients[number], self.sockets[number]
        for effect in effects:
            match effect:
                case SendIke(octets=octets, to=to, marker=marker):
                    sock.sendto(NON_ESP_MARKER + octets if marker else octets, to)
                case SendRaw(octets=octets, to=to):
                    sock.sendto(octets, to)
                case Resolve():
                    found = Resolved(effect.ticket, (self._host,))
                    self._do(number, client.step(found, now=time.monotonic()))
                case ConfigureMachine():
                    done = MachineConfigured(effect.ticket, "none")
                    self._do(number, client.step(done, now=time.monotonic()))
                case InstallSa():
                    self.orders[number] = effect
                case Record(event=event):
                    self.questions += event.code == "live.question-received"
                case _:
                    pass
        self._count[self._states[number]] -= 1
        self._states[number] = client.state
        self._count[client.state] += 1
        heapq.heappush(self._due, (client.deadline, number))


def main() -> None:
    host, count, key, user, password = sys.argv[1:]
    descriptors = int(count) + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    profile = Profile(
        "crowd",
        host=host,
        group="staff",
        group_key=Secret(key),
        user=user,
        password=Secret(password),
        save_password=True,
        legacy=("aggressive-psk",),
        # They never ask themselves: an answer of the gateway would spare it a question.
        dpd_delay=0,
    )
    crowd = Crowd(host, int(count), profile)
    signal.signal(signal.SIGTERM, lambda *_: setattr(crowd, "ended", True))
    crowd.connect()
    print("up", flush=True)
    while not crowd.ended:
        crowd.once()
    print(json.dumps({"up": crowd.up, "questions": crowd.questions}), flush=True)


if __name__ == "__main__":
    main()
