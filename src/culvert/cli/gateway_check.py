"""``culvert gateway check``: is everything ready that clients behind a NAT need?

The three steps that the VPN 3000's manual asks for before NAT-T is switched on, each looked at: UDP
4500 is open in the firewall, nothing else has it, and packets are cut before IPsec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from culvert.cli import options
from culvert.cli.check import Finding, told
from culvert.cli.exit_code import status_of
from culvert.cli.gateway_run import config_option
from culvert.cli.output import document, printable
from culvert.datapath.fragmentation import Policy
from culvert.driver.places import GATEWAY, places
from culvert.errors import PlatformError
from culvert.gateway.config import GatewayConfig, RestartSettings, load
from culvert.gateway.daemon import read_file
from culvert.gateway.sockets import NATT_TAKEN
from culvert.netio.control_socket import is_answering
from culvert.netio.firewall import closed_to, ruleset
from culvert.netio.udp import UdpSocket

ELSEWHERE = "Firewalls in front of it cannot be seen from here and must let it through as well."


@click.command(epilog="Example: sudo culvert gateway check -c /etc/culvert/gateway.toml")
@config_option
@options.as_json
@options.state_dir
@options.socket
def check(path: str, as_json: bool, state_dir: str, socket: str) -> int:
    """Check what clients behind a NAT need: firewall, free ports, packets that pass."""
    config = load(read_file(path), path)
    control = places(GATEWAY, state_dir=state_dir, socket=socket).socket
    findings = list(examine(config, control))
    if as_json:
        document({"path": path, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(printable(told(finding)))
    bad = any(finding.needed and not finding.good for finding in findings)
    return status_of("cli.problems" if bad else "ok")


def examine(config: GatewayConfig, control: Path) -> Iterator[Finding]:
    """Nothing is changed, and nothing left behind."""
    restart = config.restart
    yield _firewall(restart.natt_port)
    yield from _ports(config, running=is_answering(control))
    yield _fragments(restart)


def _firewall(port: int) -> Finding:
    name = f"firewall, UDP {port}"
    try:
        closed = closed_to(ruleset(), port)
    except PlatformError as error:
        action = f"See to it that nothing here drops UDP {port}. {ELSEWHERE}"
        return Finding(name, good=False, sentence=error.what, action=action, needed=False)
    if not closed:
        sentence = f"no rule of this machine's nftables drops it. {ELSEWHERE}"
        return Finding(name, good=True, sentence=sentence)
    chains = ", ".join(closed)
    return Finding(
        name,
        good=False,
        sentence=f"this machine's nftables drop it (chain {chains})",
        action=f"nft insert rule {closed[0]} udp dport {port} accept. {ELSEWHERE}",
    )


def _ports(config: GatewayConfig, *, running: bool) -> Iterator[Finding]:
    restart = config.restart
    wanted = {restart.natt_port: "IKE and ESP behind a NAT", restart.ike_port: "IKE"}
    if any(group.over_udp for group in config.live.groups):
        wanted[restart.udp_port] = "IPsec over UDP"
    for port, use in wanted.items():
        yield _port(restart, port, use, running=running)


def _port(restart: RestartSettings, port: int, use: str, *, running: bool) -> Finding:
    name = f"UDP port {port}"
    if running:
        return Finding(name, good=True, sentence=f"the running gateway has it, for {use}")
    try:
        for host in restart.listen:
            UdpSocket.bind(host, port).close()
    except PlatformError as error:
        action = NATT_TAKEN if port == restart.natt_port else error.action
        return Finding(name, good=False, sentence=error.what, action=action)
    return Finding(name, good=True, sentence=f"free, for {use}")


def _fragments(restart: RestartSettings) -> Finding:
    before = restart.cut is not Policy.AFTER_IPSEC
    return Finding(
        "fragmentation",
        good=before,
        sentence=f"{restart.cut}: "
        + ("no fragment leaves" if before else "ESP leaves in fragments, which many NATs lose"),
        action=f'Choose fragmentation = "{Policy.BEFORE_WITH_ICMP}" or '
        f'"{Policy.BEFORE_CLEARING_DF}".',
    )
