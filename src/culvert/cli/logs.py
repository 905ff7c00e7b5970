"""``culvert logs``: the session logs, where they are, and a pack of them for whoever helps."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import click

from culvert.cli import options
from culvert.cli.output import document, printable
from culvert.driver.control import RequestError
from culvert.driver.places import SERVICE, Places, places
from culvert.errors import ConfigError
from culvert.store.eventfile import SESSION_NAME

PACK_MODE = 0o600


@click.group(invoke_without_command=True, epilog="Example: culvert logs --path")
@click.option("--path", "only_path", is_flag=True, help="Print the folder and nothing else.")
@options.as_json
@options.state_dir
@click.pass_context
def logs(context: click.Context, only_path: bool, as_json: bool, state_dir: str) -> None:
    """List the session logs: one text file for each connection that was tried."""
    where = places(SERVICE, state_dir=state_dir)
    context.obj = where
    if context.invoked_subcommand is not None:
        return
    if only_path:
        click.echo(printable(str(where.logs)))
        return
    found = kept(where)
    if as_json:
        document({"path": str(where.logs), "logs": [path.name for path in found]})
        return
    for path in found:
        click.echo(printable(path.name))


@logs.command(epilog="Example: culvert logs pack for-support.tar.gz Log-2026-07-02-10-00-00.txt")
@click.argument("pack", metavar="FILE")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.pass_obj
def pack(where: Places, pack: str, names: tuple[str, ...]) -> None:
    """Pack the session logs NAME (all without one) into FILE; they hold no secrets."""
    found = {path.name: path for path in kept(where)}
    if strange := [name for name in names if name not in found]:
        raise RequestError("cli.not-found", f"no session log is called {strange[0]!r}")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name in names or sorted(found):
            archive.add(found[name], arcname=name, recursive=False)
    target = Path(pack)
    try:
        target.touch(mode=PACK_MODE, exist_ok=False)
        target.write_bytes(made.getvalue())
    except FileExistsError:
        raise ConfigError("is there already; name another file", path=pack) from None
    except OSError as error:
        raise ConfigError(f"cannot be written ({error.strerror})", path=pack) from None
    click.echo(f"{len(names) or len(found)} logs packed into {printable(pack)}")


def kept(where: Places) -> list[Path]:
    """The session logs, oldest first."""
    try:
        every = [path for path in where.logs.iterdir() if SESSION_NAME.match(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", path=str(where.logs)) from None
    return sorted(every, key=lambda path: (path.stat().st_mtime_ns, path.name))
