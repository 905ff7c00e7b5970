"""The simulated half of a SonicWALL: people log in by XAUTH, no Mode Config, addresses by DHCP."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Any

from culvert.effects import Effect
from culvert.gateway.ipsec import IpsecGateway
from culvert.ike.outputs import AskConfiguration, Configuration
from culvert.ike.selector import Selector
from culvert.inet import dhcp
from culvert.inet.dhcp import DhcpMessage
from culvert.policy.refused import Refused
from interop.peers.dhcp_server import answer
from simulation import udp
from simulation.ends import ClientEnd, GatewayEnd
from simulation.world import GATEWAY, LAN, World, profile

EVERYTHING = (Selector(ip_network("0.0.0.0/0")),)
FIRST_LENT = int(IPv4Address("40.1.1.101"))
LEASE_SECONDS = 600
DNS, DOMAIN = "192.168.2.53", "corp.test"


class Permissive(IpsecGateway):
    """Whoever is logged in may have any pair."""

    def _logged_in(self, number: int, user: str, now: float) -> list[Effect]:
        made = super()._logged_in(number, user, now)
        if number not in self._clients:
            return made
        client = self._client(number)
        if not client.session:
            refused = self._sessions.admit(number, client, AskConfiguration((), ()), now)
            if isinstance(refused, Refused):
                raise AssertionError(refused.reason)
        granted = Configuration((), EVERYTHING, EVERYTHING)
        permit = self._endpoint.act(number, lambda sa: sa.permit(granted))
        return made + self._carry(permit, now)


class SonicWall(GatewayEnd):
    """``asked``: the kinds of all messages that came to its DHCP server, in their order."""

    makes = Permissive

    def __init__(self, *args: Any, **named: Any) -> None:
        self.serves = True
        self.refuses = False
        """The address that was offered, when it is asked for."""
        self.asked: list[int] = []
        self.lent: dict[bytes, str] = {}
        super().__init__(*args, **named)

    def came_inside(self, packet: bytes) -> None:
        super().came_inside(packet)
        found = udp.parse(packet)
        if found is not None and found[1] == (GATEWAY, dhcp.SERVER_PORT) and self.serves:
            self._serve(DhcpMessage.parse(found[2]))

    def _serve(self, asked: DhcpMessage) -> None:
        self.asked.append(asked.kind)
        if asked.kind == dhcp.RELEASE:
            if self.lent.get(asked.hardware) == str(asked.client):
                del self.lent[asked.hardware]
            return
        address = self.lent.get(asked.hardware) or self._free()
        if asked.kind == dhcp.DISCOVER:
            kind = dhcp.OFFER
        elif self.refuses:
            kind = dhcp.NAK
        else:
            kind, self.lent[asked.hardware] = dhcp.ACK, address
        said = answer(
            asked, kind, address, server=GATEWAY, dns=DNS, domain=DOMAIN, lease=LEASE_SECONDS
        )
        to = (str(asked.relay), dhcp.SERVER_PORT)
        self.carry(udp.build((GATEWAY, dhcp.SERVER_PORT), to, said.write()))

    def _free(self) -> str:
        taken = {*self.lent.values()}
        addresses = (str(IPv4Address(FIRST_LENT + n)) for n in range(len(taken) + 1))
        return next(address for address in addresses if address not in taken)


class SonicWorld(World):
    """Its gateway is a `SonicWall`."""

    def __init__(self, seed: int, *, wall: type[SonicWall] = SonicWall) -> None:
        self.gateway_kind = wall
        super().__init__(seed)

    @property
    def wall(self) -> SonicWall:
        assert isinstance(self.gateway, SonicWall)
        return self.gateway

    def leasing(self, **changes: Any) -> ClientEnd:
        """A client that wants its address by DHCP."""
        kept = profile(provisioning="dhcp", remote_networks=(LAN,), **changes)
        return self.client(kept, behind=self.nat)
