"""``culvert profile``: import, list, show, check and hand on connection profiles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from culvert.cli.credentials import ask, read_descriptor, read_input
from culvert.cli.exit_code import status_of
from culvert.cli.keychain import Keychain
from culvert.cli.options import as_json
from culvert.cli.output import document, pairs, printable, table
from culvert.cli.proposals import proposals
from culvert.cli.secret_service import SecretService
from culvert.errors import ConfigError, CulvertError
from culvert.profile.adapters import pcf, vpnc
from culvert.profile.adapters.draft import Adapted
from culvert.profile.name_service import held_by_gateway
from culvert.profile.profile import KEYS, InvalidProfile, Mistake, Profile, sounds_secret
from culvert.profile.text import encoded
from culvert.profile.toml import write
from culvert.profile.watching import hindrances
from culvert.rng import SystemRandom
from culvert.store.profiles import SUFFIX, ProfileStore, directories, load_file, write_private
from culvert.tables.lines import key_lines

CHECKED = "checked"
"""A name for a profile whose own does not matter."""


def store() -> ProfileStore:
    """The profiles of the user who runs this."""
    return ProfileStore(directories(os.environ))


@click.group(epilog="Example: culvert profile import office.pcf")
def profile() -> None:
    """Connection profiles: bring them in, look at them, hand them on."""


@profile.command("list", epilog="Example: culvert profile list --json")
@as_json
def list_(as_json: bool) -> None:
    """Every saved profile; one with mistakes is listed with the first of them."""
    profiles = store()
    rows: list[dict[str, str | bool | None]] = []
    for saved in profiles.saved():
        row: dict[str, str | bool | None] = {
            "name": saved.name,
            "host": "",
            "group": "",
            "description": "",
            "path": str(saved.path),
            "hidden": saved.hidden,
            "problem": None,
        }
        try:
            found = load_file(saved.path, name=saved.name).profile
        except CulvertError as error:
            row["problem"] = str(error).splitlines()[0]
        else:
            row |= {"host": found.host, "group": found.group, "description": found.description}
        rows.append(row)
    if as_json:
        document({"profiles": rows})
    elif rows:
        cells = [
            [str(row["name"]), str(row["host"]), str(row["group"]), _remark(row)] for row in rows
        ]
        click.echo(table(["Name", "Host", "Group", "Remark"], cells))
    else:
        click.echo("No profile yet: culvert profile import FILE")


def _remark(row: dict[str, str | bool | None]) -> str:
    if row["hidden"]:
        return f"hidden by the one before ({row['path']})"
    return str(row["problem"] or row["description"])


@profile.command(epilog="Example: culvert profile show office")
@click.argument("name")
@as_json
def show(name: str, as_json: bool) -> None:
    """One profile, key by key; secrets are never shown."""
    found = store().load(name)
    held = held_by_gateway(found)
    if as_json:
        document({"profile": public(found), "locked": dict(held)})
        return
    click.echo(found.name)
    shown = {**public(found), **{key: f"({reason})" for key, reason in held.items()}}
    click.echo(pairs([(key, _words(value)) for key, value in shown.items() if key != "name"]))


def public(found: Profile) -> dict[str, object]:
    """A profile for eyes and scripts: whether a secret is set, not the secret.

    Of foreign keys only the names, because nobody knows what their values are.
    """
    shown: dict[str, object] = {"name": found.name}
    for key in KEYS.values():
        value = getattr(found, key.name)
        shown[key.name] = value is not None if key.kind == "secret" else value
    shown["extra"] = {origin: list(kept) for origin, kept in found.extra.items()}
    return shown


def _words(value: object) -> str:
    match value:
        case True:
            return "yes"
        case False | None:
            return ""
        case tuple():
            return ", ".join(str(part) for part in cast("tuple[object, ...]", value))
        case dict():
            kept = cast("Mapping[str, list[str]]", value)
            return "; ".join(f"{origin}: {', '.join(keys)}" for origin, keys in kept.items())
        case _:
            return str(value)


@profile.command("import", epilog="Example: culvert profile import office.pcf --name office")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="What to call it; otherwise after the file.")
@click.option("--replace", "replacing", is_flag=True, help="Replace a profile of that name.")
@as_json
def import_(file: Path, name: str, replacing: bool, as_json: bool) -> None:
    """Save a profile from a .pcf, a vpnc configuration, or our own TOML."""
    adapted = load_file(file, name=name)
    path = store().save(adapted.profile, replacing=replacing)
    if as_json:
        document({"name": adapted.profile.name, "path": str(path), "warnings": _warnings(adapted)})
        return
    for warning in adapted.warnings:
        click.echo(printable(str(warning)), err=True)
    click.echo(f"Saved as {adapted.profile.name} ({path}).")
    click.echo(f"Connect: culvert up {adapted.profile.name}")


@profile.command(epilog="Example: culvert profile validate office.pcf")
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def validate(file: Path, as_json: bool) -> int:
    """Every mistake in a profile's file, with its line and what would be right."""
    try:
        adapted = load_file(file, name=CHECKED)
        _refuse_hindered(adapted.profile, file)
    except ConfigError as error:
        if not as_json:
            raise
        found = error.mistakes if isinstance(error, InvalidProfile) else ()
        told = [(one.line, one.key, one.sentence) for one in found] or [
            (error.line, "", error.what)
        ]
        document({"path": str(file), "valid": False, "mistakes": _lines(told), "warnings": []})
        return status_of(error.code)
    if as_json:
        warnings = _warnings(adapted)
        document({"path": str(file), "valid": True, "mistakes": [], "warnings": warnings})
        return status_of("ok")
    for warning in adapted.warnings:
        click.echo(printable(str(warning)))
    click.echo(f"{file} is in order.")
    return status_of("ok")


def _refuse_hindered(found: Profile, file: Path) -> None:
    """What is no mistake of the file, yet would keep the connection from coming up."""
    lines = key_lines(file.read_text("utf-8") if file.suffix == SUFFIX else "")
    told = [Mistake(key, said, lines.get((key,), 0)) for key, said in hindrances(found)]
    if told:
        raise InvalidProfile(tuple(told), path=str(file))


def _warnings(adapted: Adapted) -> list[dict[str, object]]:
    return _lines([(one.line, one.key, one.sentence) for one in adapted.warnings])


def _lines(told: list[tuple[int, str, str]]) -> list[dict[str, object]]:
    return [{"line": line, "key": key, "sentence": sentence} for line, key, sentence in told]


@profile.command(epilog="Example: culvert profile export office --format pcf -o office.pcf")
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["toml", "pcf", "vpnc"]), default="toml")
@click.option("-o", "output", type=click.Path(path_type=Path), help="Write to this file (0600).")
@click.option("--replace", "replacing", is_flag=True, help="Replace that file.")
@as_json
def export(name: str, form: str, output: Path | None, replacing: bool, as_json: bool) -> None:
    """A profile as TOML, .pcf or vpnc configuration; with its secrets only into a file."""
    found = store().load(name)
    warnings: list[str] = []
    if output is None and found.holds_secrets:
        found = _without_secrets(found)
        warnings.append("secrets are left out; with -o FILE they are written")
    text, lost = _exported(found, form)
    warnings += lost
    if output is not None:
        octets = encoded(text) if form == "pcf" else text.encode()
        write_private(output, octets, replacing=replacing)
    if as_json:
        path = None if output is None else str(output)
        shown = text if output is None else None
        document({"name": name, "format": form, "path": path, "text": shown, "warnings": warnings})
        return
    for warning in warnings:
        click.echo(warning, err=True)
    if output is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"Written to {output}.")


def _exported(found: Profile, form: str) -> tuple[str, tuple[str, ...]]:
    match form:
        case "pcf":
            exported = pcf.export(found, SystemRandom())
        case "vpnc":
            exported = vpnc.export(found, SystemRandom())
        case _:
            return write(found), ()
    return exported.text, exported.warnings


def _without_secrets(found: Profile) -> Profile:
    extra = {
        origin: {key: value for key, value in kept.items() if not sounds_secret(key)}
        for origin, kept in found.extra.items()
    }
    return replace(found, group_key=None, password=None, extra=extra)


@profile.command(epilog="Example: culvert profile remember office")
@click.argument("name")
@click.option("--group-key", is_flag=True, help="The group key instead of your password.")
@click.option("--fd", type=click.IntRange(min=0), metavar="N", help="Read it from descriptor N.")
@click.option("--stdin", "from_input", is_flag=True, help="Read it from the standard input.")
def remember(name: str, group_key: bool, fd: int | None, from_input: bool) -> None:
    """Put your password for a connection into the desktop's keyring (then: up --keyring)."""
    ticked = store().load(name).keychain
    service = Keychain() if ticked else SecretService()
    kind = "group_key" if group_key else "password"
    if fd is not None:
        secret = read_descriptor(fd)
    elif from_input:
        secret = read_input()
    else:
        secret = ask(kind)
    service.put(name, kind, secret)
    how = "" if ticked else " --keyring"
    click.echo(f"Kept; use it with: culvert up {name}{how}")


@profile.command("erase-password", epilog="Example: culvert profile erase-password office")
@click.argument("name")
@click.option("--keyring", is_flag=True, help="Take it out of the desktop's keyring as well.")
@as_json
def erase_password(name: str, keyring: bool, as_json: bool) -> None:
    """Take your saved password out of a profile; the rest of the file stays as it is."""
    erased = store().erase_password(name)
    ticked = store().load(name).keychain
    place = Keychain() if ticked else SecretService() if keyring else None
    from_keyring = place.erase(name, "password") if place is not None else False
    if as_json:
        document({"name": name, "erased": erased, "erased_from_keyring": from_keyring})
    else:
        click.echo("Erased." if erased or from_keyring else "There was no saved password.")


profile.add_command(proposals)
