"""``culvert setmtu``: the MTU of this machine's adapters, by hand (S0-10 to S0-15)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import click

from culvert.cli import options
from culvert.cli.exit_code import status_of
from culvert.cli.output import document
from culvert.driver.control import RequestError
from culvert.driver.places import SERVICE, places
from culvert.errors import PlatformError
from culvert.netio.adapter import LEAST, LEAST_IPV6, Adapter, adapters, set_mtu
from culvert.profile.mtu import warning
from culvert.tables.texts.client_tools import mtu_choices, setmtu_switches

VIRTUAL = "culvert"
"""How the names of tunnel devices begin."""
VIRTUAL_MTU = 1500
DEFAULT = "default"
Wanted = Callable[[Adapter], int]

REMEMBERED = "mtu.json"
NO_RESTART = "No restart needed: it counts at once."

HELP = """Show or set the MTU of adapters, for troubleshooting; normally not advised.

The client works out the tunnel's MTU by itself, and 1300 is enough for IPsec. Too large a value
loses packets or cuts them; IPsec makes every packet bigger; many firewalls drop fragments; putting
those together slows the tunnel. It touches all programs that use the adapter.

\b
  (nothing)       list adapters and choices
  ADAPTER VALUE   Default, 576, 1300, or any from 68 up
  /s VALUE, /r    all adapters; all back as they were
  /va VALUE       the tunnel's adapter; /vaReset: back to 1500
  A switch may begin with - as well; /? shows this.
"""


@click.command(
    help=HELP,
    context_settings={"ignore_unknown_options": True},
    epilog="Example: sudo culvert setmtu eth0 1300",
)
@options.as_json
@options.state_dir
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def setmtu(context: click.Context, as_json: bool, state_dir: str, words: tuple[str, ...]) -> int:
    """Show or set MTUs."""
    memory = places(SERVICE, state_dir=state_dir).state / REMEMBERED
    done: list[Mapping[str, object]] = []
    match [_plain(words[0]), *words[1:]] if words else []:
        case []:
            _list(as_json=as_json)
            return status_of("ok")
        case ["/?"]:
            click.echo(context.get_help())
            return status_of("ok")
        case ["/s", value]:
            done = _set(_real(), _all(value), memory)
        case ["/r"]:
            done = _set(_real(), _before(memory), memory)
            memory.unlink(missing_ok=True)
        case ["/va", value]:
            done = _set(_virtual(), _all(value), None)
        case ["/vaReset"]:
            done = _set(_virtual(), lambda _: VIRTUAL_MTU, None)
        case [name, value] if not name.startswith("/"):
            wanted = _before(memory) if value.lower() == DEFAULT else _all(value)
            done = _set([_named(name)], wanted, memory)
        case _:
            raise click.UsageError(
                f"not understood: {' '.join(words)}; `culvert setmtu /?` shows what there is",
                context,
            )
    _tell(done, as_json=as_json)
    return status_of("ok")


def _plain(word: str) -> str:
    """A switch as the tables write it."""
    slashed = f"/{word[1:]}"
    return slashed if word.startswith("-") and slashed in setmtu_switches() else word


def _number(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise RequestError(
            "cli.usage",
            f"{value!r} is no MTU",
            f"Give Default, 576, 1300, or a number from {LEAST}.",
        )
    return int(value)


def _all(value: str) -> Wanted:
    mtu = _number(value)
    return lambda _: mtu


def _real() -> list[Adapter]:
    return [one for one in adapters() if not one.loopback and not one.name.startswith(VIRTUAL)]


def _virtual() -> list[Adapter]:
    found = [one for one in adapters() if one.name.startswith(VIRTUAL)]
    if not found:
        raise RequestError(
            "cli.not-found",
            "no tunnel is up, so there is no virtual adapter",
            "Connect first, or give the profile the key mtu, which counts for every connection.",
        )
    return found


def _named(name: str) -> Adapter:
    found = {one.name: one for one in adapters() if not one.loopback}
    if name not in found:
        known = ", ".join(found) or "none"
        raise RequestError("cli.not-found", f"there is no adapter {name!r}", f"There are: {known}.")
    return found[name]


def _set(
    chosen: Sequence[Adapter], wanted: Wanted, memory: Path | None
) -> list[Mapping[str, object]]:
    """Nothing is changed if one of them cannot take its value."""
    values = [(one, wanted(one)) for one in chosen]
    for one, mtu in values:
        if not LEAST <= mtu <= one.most:
            raise RequestError(
                "cli.usage",
                f"{one.name} cannot have MTU {mtu}",
                f"Give a value from {LEAST} to {one.most}.",
            )
    if memory is not None:
        _remember(memory, chosen)
    return [
        {
            "adapter": one.name,
            "before": one.mtu,
            "mtu": set_mtu(one, mtu),
            "warnings": _warnings(one, mtu),
        }
        for one, mtu in values
    ]


def _warnings(one: Adapter, mtu: int) -> list[str]:
    found: list[str] = []
    if mtu < LEAST_IPV6 and one.ipv6:
        found.append(f"IPv6 stops on {one.name}: it needs at least {LEAST_IPV6}.")
    if said := warning(mtu):
        found.append(said)
    return found


def _remembered(memory: Path) -> dict[str, int]:
    try:
        found: object = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    values = cast("Mapping[object, object]", found)
    return {str(name): value for name, value in values.items() if isinstance(value, int)}


def _remember(memory: Path, chosen: Sequence[Adapter]) -> None:
    """What each had before it was first set."""
    values = {one.name: one.mtu for one in chosen} | _remembered(memory)
    try:
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        memory.write_text(json.dumps(values), "utf-8")
    except OSError as error:
        raise PlatformError(
            f"{memory} cannot be written: {error.strerror}", action="run as root"
        ) from error


def _before(memory: Path) -> Wanted:
    """What an adapter had before it was first set, else what drivers of Ethernet begin with."""
    values = _remembered(memory)
    return lambda one: values.get(one.name, one.factory)


def _list(*, as_json: bool) -> None:
    found = adapters()
    if as_json:
        rows = [
            {"adapter": one.name, "mtu": one.mtu, "most": one.most, "up": one.up, "ipv6": one.ipv6}
            for one in found
        ]
        document({"adapters": rows, "choices": [choice.text for choice in mtu_choices()]})
        return
    for one in found:
        note = "  (never touched)" if one.loopback else ""
        click.echo(f"{one.name:<16} MTU {one.mtu:>5}  at most {one.most}{note}")
    click.echo("\nChoices:")
    for choice in mtu_choices():
        click.echo(f"  {choice.text:<8} {choice.about}")
    click.echo("\nThe client works out the tunnel's MTU by itself; setting one is for")
    click.echo("troubleshooting and normally not advised.")


def _tell(done: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    if as_json:
        document({"adapters": list(done)})
        return
    for row in done:
        click.echo(f"{row['adapter']}: MTU {row['mtu']} (was {row['before']})")
    for said in dict.fromkeys(str(text) for row in done for text in _texts(row["warnings"])):
        click.echo(f"warning: {said}")
    click.echo(NO_RESTART)


def _texts(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
