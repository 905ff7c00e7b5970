"""``culvert up``: connect, telling each step as it happens, and why if it does not work."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from culvert.cli import credentials, options
from culvert.cli.before import prepare
from culvert.cli.certificate_files import certificates_for
from culvert.cli.conversation import Answer, Conversation
from culvert.cli.credentials import LABELS, CredentialError, Credentials
from culvert.cli.down import closing
from culvert.cli.exit_code import status_of
from culvert.cli.keychain import Keychain
from culvert.cli.output import complain, document, printable
from culvert.cli.reading import Row, row, texts
from culvert.cli.service import ensure_running
from culvert.cli.status import told
from culvert.cli.why import entry_of
from culvert.driver.control import RequestError, problem
from culvert.driver.places import SERVICE, places
from culvert.errors import CulvertError
from culvert.eventlog.entry import Entry
from culvert.eventlog.render.story import render
from culvert.eventlog.sentence import sentence
from culvert.eventlog.story import steps, tell
from culvert.profile.mtu import warning
from culvert.profile.profile import AUTHENTICATIONS, Profile
from culvert.profile.toml import write
from culvert.store.profiles import ProfileStore, directories, load_file

AT_ONCE = frozenset({"ike.retransmit"})
"""Steps that are told at once although more of them may follow: somebody is waiting."""

LOGIN_ALWAYS = frozenset({"xauth-psk", "xauth-rsa", "hybrid"})
"""Ways to authenticate that always end with a user name and a password."""

UNASKED = "{} is missing and --no-input was given; {}"
GIVE = "--password-fd, --password-stdin or the keychain give"

WHOLE_STORY = "`culvert why` tells the whole story."


@click.command(epilog="Example: culvert up office.pcf")
@click.argument("profile", metavar="NAME|FILE")
@click.option("--run-before", is_flag=True, help="Run the profile's command_before first.")
@click.option("--user", default="", help="Log in as this user instead of the profile's.")
@click.option("--detach", is_flag=True, help="Return when the login was accepted; go on by itself.")
@options.key_log
@options.capture
@options.record
@options.record_secrets
@click.option("--stay", is_flag=True, help="Stay until it ends, and say why; Ctrl-C disconnects.")
@options.as_json
@options.state_dir
@options.socket
@credentials.options
def up(
    credentials_for: Callable[[str], Credentials],
    profile: str,
    run_before: bool,
    user: str,
    detach: bool,
    key_log: str,
    capture: str,
    record: str,
    record_secrets: bool,
    stay: bool,
    as_json: bool,
    state_dir: str,
    socket: str,
) -> int:
    """Connect the profile NAME, or the one in FILE (our TOML, a .pcf, a vpnc .conf).

    Waits until the connection is up, then returns; `culvert down` ends it.

    For support, with more in man culvert-up: --record, --key-log, --capture.
    """
    if stay and detach:
        raise click.UsageError("--stay and --detach exclude each other.")
    chosen = _chosen(profile, quiet=as_json)
    given = credentials_for(chosen.name)
    if chosen.keychain:
        given.service = Keychain()
    chosen = _completed(chosen, user, given)
    _check_login(chosen, given)
    prepare(chosen.command_before, wanted=run_before)
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    ensure_running(where)
    attempt = _Attempt(given, quiet=as_json)
    try:
        with Conversation(where.socket, daemon="the service") as there:
            _check_trust(there)
            params = {
                "name": chosen.name,
                "profile": write(chosen),
                "detach": detach,
                **_files(key_log=key_log, capture=capture, record=record),
                "record_secrets": record_secrets,
                **certificates_for(chosen, given),
            }
            result = there.request("up", params, event=attempt.hear, ask=attempt.ask)
    except RequestError as error:
        attempt.explain(error, as_json=as_json)
        # To ask nothing was the person's wish; that it failed for it is no wish of theirs.
        return status_of("cli.usage" if attempt.unanswered else error.code)
    attempt.flush()
    connection = row(result.get("connection"))
    if connection.get("state") == "up" and not connection.get("save_password"):
        _forget_password(chosen, profile, given)
    if chosen.keychain and connection.get("state") == "up":
        _keep(given, password=connection.get("save_password") is True)
    if as_json:
        document(result)
    else:
        click.echo(told([connection]))
    return _stay(where.socket, chosen.name, as_json=as_json) if stay else status_of("ok")


def _stay(socket: Path, name: str, *, as_json: bool) -> int:
    """Until the connection is over; an interruption is a wish to end it."""
    try:
        with Conversation(socket, daemon="the service") as service:
            over = service.request("wait", {"name": name})
    except KeyboardInterrupt:
        with Conversation(socket, daemon="the service") as service:
            ended = service.request("down", {"name": name})
        words = row(ended.get("words")).get(name)
        over = {"name": name, "reason": "by-user", "by_peer": False, "words": words}
    if as_json:
        document({"ended": over})
    else:
        click.echo(closing(name, texts(over.get("words"))))
    reason = str(over.get("reason") or "error")
    return status_of("ok" if reason == "by-user" else reason)


def _files(**named: str) -> dict[str, str]:
    """For the service, which has another working directory."""
    return {name: str(Path(path).absolute()) for name, path in named.items() if path}


class _Attempt:
    """What is heard and asked while connecting."""

    def __init__(self, given: Credentials, *, quiet: bool) -> None:
        self._given = given
        self._quiet = quiet
        self.unanswered = False
        """A question came that nobody was there to answer."""
        self._entries: list[Entry] = []
        self._pending: list[Entry] = []

    def hear(self, event: Row) -> None:
        """Keep the event, and tell its step; what comes several times in a row becomes one."""
        entry = entry_of(event)
        self._entries.append(entry)
        if not sentence(entry):
            return
        if self._pending and self._pending[-1].code != entry.code:
            self.flush()
        self._pending.append(entry)
        if not entry.row.join or entry.code in AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Tell what was held back."""
        if not self._quiet:
            for step in steps(self._pending):
                click.echo(f"  {step.text}", err=True)
        self._pending = []

    def ask(self, question: Row) -> Answer:
        """Answer a question of the gateway; None gives up."""
        self.flush()
        values = self._given.answer(
            texts(question.get("wants")),
            message=str(question.get("message") or ""),
            repeated=question.get("repeated") is True,
        )
        if values is None:
            self.unanswered = not self._given.interactive
            return None
        # Revealed for the service alone, over a socket whose other end is root or ourselves.
        return {what: value.reveal() for what, value in values.items()}

    def explain(self, error: RequestError, *, as_json: bool) -> None:
        """Say why it failed: the story's verdict if there is a story, else the error itself."""
        self.flush()
        if self.unanswered and not as_json:
            said = UNASKED.format("what the gateway asked for", f"{GIVE} a password")
            click.echo(f"  {said}", err=True)
        if not self._entries:
            complain(error, as_json=as_json)
            return
        story = tell(self._entries)
        if as_json:
            document({"error": problem(error), "story": story.document()})
            return
        click.echo(err=True)
        # The steps have been told as they happened.
        click.echo(render(replace(story, steps=())), err=True)
        click.echo(f"\n{WHOLE_STORY}", err=True)


def _chosen(given: str, *, quiet: bool) -> Profile:
    """A saved profile, or the one in a file; what the file's adapter has to say is said."""
    path = Path(given)
    if os.sep not in given and not path.is_file():
        saved = ProfileStore(directories(os.environ)).load(given)
        if not quiet and (said := warning(saved.mtu)):
            click.echo(f"  mtu: {said}", err=True)
        return saved
    adapted = load_file(path)
    if not quiet:
        for remark in adapted.warnings:
            click.echo(f"  {printable(str(remark))}", err=True)
    return adapted.profile


def _keep(given: Credentials, *, password: bool) -> None:
    """What was right goes into the keychain."""
    try:
        kept = given.keep(password=password)
    except CulvertError as error:
        complain(error)  # the connection is up all the same
        return
    if kept:
        what = " and ".join(LABELS[kind].lower() for kind in kept)
        click.echo(f"  Kept in the keychain: {what}.", err=True)


def _forget_password(chosen: Profile, given: str, credentials: Credentials) -> None:
    """The gateway forbids saving it (S0-45): a saved one goes, from our own places."""
    try:
        erased = credentials.forget_password()
        if chosen.password is not None and os.sep not in given and not Path(given).is_file():
            erased = ProfileStore(directories(os.environ)).erase_password(given) or erased
    except CulvertError as error:
        complain(error)  # the connection is up all the same
        return
    if erased:
        click.echo(
            "  The gateway forbids saving the password; it is erased and will be asked for.",
            err=True,
        )


def _completed(profile: Profile, user: str, given: Credentials) -> Profile:
    """With the group key asked for if the profile has none: it is needed before the first word."""
    if user:
        profile = replace(profile, user=user)
    if profile.group_key is None and AUTHENTICATIONS[profile.authentication].group_key:
        values = given.answer(["group_key"])
        if values is None:
            raise RequestError(
                "cli.usage",
                f"the group key of {profile.name} is not known",
                "Put group_key into the profile, or let --keyring or the prompt give it.",
            )
        profile = replace(profile, group_key=values["group_key"])
    return profile


def _check_login(profile: Profile, given: Credentials) -> None:
    """Before anything is sent: half a login counts against you at the gateway."""
    if given.interactive or profile.authentication not in LOGIN_ALWAYS:
        return
    if not profile.user:
        raise CredentialError(
            UNASKED.format("a user name", "--user or user in the profile give one")
        )
    if profile.password is None and not given.holds("password"):
        raise CredentialError(UNASKED.format("a password", f"{GIVE} one"))


def _check_trust(there: Conversation) -> None:
    """Keys and passwords go to root or to oneself, never to whoever made a socket."""
    if there.server_uid not in (0, os.geteuid()):
        raise RequestError(
            "cli.denied",
            f"the service belongs to user {there.server_uid}, neither root nor you",
            "Look at who listens there; it is not given your password.",
        )
