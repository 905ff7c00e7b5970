"""A lab with more clients behind its PAT, each with a user of its own name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient

FIRST_HOST = 21
"""The last octet of the first one's address behind the PAT."""


class Crowded(Lab):
    """``names``: the clients that are added."""

    def __init__(self, prefix: str, count: int) -> None:
        super().__init__(prefix)
        self.names = tuple([f"c{number}" for number in range(1, count + 1)])

    def ns(self, name: str) -> str:
        return f"{self.prefix}-{name}" if name in self.names else super().ns(name)

    def down(self) -> None:
        super().down()
        namespace.remove([self.ns(name) for name in self.names])

    def _serve(self) -> None:
        self._add_clients()  # before anybody learns the bridge's address, which a port may change
        super()._serve()

    def _add_clients(self) -> None:
        namespace.add([self.ns(name) for name in self.names])
        for number, name in enumerate(self.names):
            namespace.give_etc(self.ns(name), hosts=topology.HOSTS)
            cable = f"link add eth0 netns {self.ns(name)} type veth peer name "
            namespace.call(["ip", "-batch", "-"], given=f"{cable}in{name} netns {self.ns('pat')}\n")
            bridged = f"link set in{name} master {topology.PAT_BRIDGE}\nlink set in{name} up\n"
            namespace.call(["ip", "-n", self.ns("pat"), "-batch", "-"], given=bridged)
            namespace.set_kernel(self.ns(name), dict(topology.SYSCTLS))
            lines = (
                "link set lo up",
                f"addr add 10.10.10.{FIRST_HOST + number}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {topology.PAT_INSIDE}",
            )
            namespace.call(
                ["ip", "-n", self.ns(name), "-batch", "-"], given="\n".join(lines) + "\n"
            )


@contextmanager
def clients(
    lab: Lab, names: Sequence[str], profile: Mapping[str, object]
) -> Iterator[list[OurClient]]:
    """A service for each; nobody is connected yet."""
    with ExitStack() as stack:
        made = [OurClient(lab, name, profile) for name in names]
        for one in made:
            stack.callback(one.stop)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: one.start(), made))
        yield made
