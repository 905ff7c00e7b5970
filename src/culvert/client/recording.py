"""Recording a connection, and the same connection again from a record.

Unless secrets are wanted, a second core stands beside the real one: it hears the same and draws
the same chance, but is told other passwords of the same length. What *it* says is what is
recorded, so that the record replays to the octet and holds no password (decision 0140).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path as File

from culvert import __version__
from culvert.client.connection import Connection
from culvert.client.joint import Derive
from culvert.client.person import Person
from culvert.crypto.hash import hmac
from culvert.driver.privatefile import PrivateFile
from culvert.driver.record import (
    KIND,
    MOST,
    VERSION,
    Derived,
    Fed,
    Given,
    Heard,
    RecordError,
    entry_line,
    line,
    octets_of,
)
from culvert.driver.record_papers import said, shown_again
from culvert.driver.replaying import put, run
from culvert.effects import Answer, Effect, HumanAnswered
from culvert.errors import CulvertError
from culvert.eventlog.event import LogEvent
from culvert.inet.address import Path
from culvert.orders.certificates import Shown
from culvert.profile.profile import NO_FOREIGN, Profile
from culvert.profile.toml import read, write
from culvert.rng import Random
from culvert.secret import Secret

COMMANDS = ("connect", "disconnect")
NO_SECRETS = frozenset(("user", "domain"))
"""Answers of a person that a record keeps as they are."""
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class Masks:
    """Other secrets of the same length; the same for the same."""

    def __init__(self, rng: Random, *, keep: bool) -> None:
        self._rng = rng
        self._keep = keep
        self._known: dict[str, Secret] = {}

    def of(self, secret: Secret) -> Secret:
        if self._keep:
            return secret
        text = secret.reveal()
        if text not in self._known:
            drawn = self._rng.octets(len(secret.octets()))
            self._known[text] = Secret("".join(LETTERS[one % len(LETTERS)] for one in drawn))
        return self._known[text]

    def profile(self, profile: Profile) -> Profile:
        """Foreign keys are left out: nobody here knows what they say."""
        if self._keep:
            return profile
        key, password = profile.group_key, profile.password
        return replace(
            profile,
            group_key=key and self.of(key),
            password=password and self.of(password),
            extra=NO_FOREIGN,
        )

    def answer(self, answer: Answer) -> Answer:
        if not isinstance(answer, HumanAnswered) or answer.values is None:
            return answer
        values = {
            want: value if want in NO_SECRETS else self.of(value)
            for want, value in answer.values.items()
        }
        return HumanAnswered(answer.ticket, values)


class Recorded:
    """A connection that is written down: for the driver, a connection like any other. ``derive``
    and ``person`` as a `Connection` has them."""

    def __init__(
        self,
        profile: Profile,
        rng: Random,
        file: PrivateFile,
        *,
        began: tuple[datetime, float],
        bare_esp: bool = False,
        certificate: Shown | None = None,
        authorities: tuple[bytes, ...] = (),
        secrets: bool = False,
        derive: Derive = hmac,
        person: Person | None = None,
    ) -> None:
        self._file = file
        self._skeyid = derive
        self._masks = Masks(rng, keep=secrets)
        self._heard = Heard(rng)
        self._derived: list[Derived] = []
        self._fed = Fed()

        def core(
            of: Profile, chance: Random, derive: Derive, who: Person | None = None
        ) -> Connection:
            return Connection(
                of,
                chance,
                began=began,
                bare_esp=bare_esp,
                certificate=certificate,
                authorities=authorities,
                derive=derive,
                person=who,
            )

        self._core = core(profile, self._heard, self._derive, person)
        draws = self._heard.taken()
        self._fed.feed(draws, ())
        masked = self._masks.profile(profile)
        self._beside = core(masked, self._fed, self._fed.derive)
        self._going = file.write(
            line(
                {
                    KIND: VERSION,
                    "version": __version__,
                    "side": "client",
                    "secrets": secrets,
                    "name": profile.name,
                    "profile": write(masked),
                    "began": [began[0].isoformat(), began[1]],
                    "bare_esp": bare_esp,
                    "certificate": certificate and said(certificate),
                    "authorities": [one.hex() for one in authorities],
                    "draws": [one.hex() for one in draws],
                }
            )
        )

    @property
    def deadline(self) -> float:
        return self._core.deadline

    @property
    def snapshot(self) -> Mapping[str, object]:
        return self._core.snapshot

    @property
    def state(self) -> str:
        return self._core.state

    @property
    def profile(self) -> Profile:
        return self._core.profile

    def connect(self, *, now: float) -> Sequence[Effect]:
        return self._put(Given("connect", now))

    def disconnect(self, *, now: float) -> Sequence[Effect]:
        return self._put(Given("disconnect", now))

    def receive(self, octets: bytes, path: Path, *, now: float) -> Sequence[Effect]:
        return self._put(Given("receive", now, octets, path))

    def step(self, answer: Answer, *, now: float) -> Sequence[Effect]:
        return self._put(Given("step", now, answer=answer))

    def tick(self, *, now: float) -> Sequence[Effect]:
        return self._put(Given("tick", now))

    def close(self) -> None:
        """Closing twice is normal."""
        self._file.close()

    def _put(self, given: Given) -> Sequence[Effect]:
        try:
            return put(self._core, given, COMMANDS)
        finally:
            try:
                self._write(given)
            except Exception as error:  # no defect of the record may end the connection
                self._going = False
                self._file.end(f"a defect of the record ({type(error).__name__})")

    def _write(self, given: Given) -> None:
        draws, derived = self._heard.taken(), tuple(self._derived)
        self._derived.clear()
        if not self._going:
            return
        if given.answer is not None:
            given = replace(given, answer=self._masks.answer(given.answer))
        entry = run(self._beside, self._fed, given, draws, derived, COMMANDS)
        self._going = self._file.write(entry_line(entry))
        if self._fed.problem or self._beside.deadline != self._core.deadline:
            # Without the real secrets it went another way: what would follow were no record.
            self._going = False
            self._file.end("what follows depends on the secrets: record with --record-secrets")

    def _derive(self, name: str, key: bytes, nonces: bytes) -> bytes:
        skeyid = self._skeyid(name, key, nonces)
        self._derived.append((name, nonces, skeyid))
        return skeyid


def core_of(
    profile: Profile,
    rng: Random,
    file: PrivateFile | None,
    *,
    began: tuple[datetime, float],
    bare_esp: bool,
    certificate: Shown | None,
    authorities: tuple[bytes, ...],
    secrets: bool = False,
    derive: Derive = hmac,
    person: Person | None = None,
) -> Connection | Recorded:
    """A connection's core, written down to ``file`` if there is one."""
    if file is not None:
        return Recorded(
            profile,
            rng,
            file,
            began=began,
            bare_esp=bare_esp,
            certificate=certificate,
            authorities=authorities,
            secrets=secrets,
            derive=derive,
            person=person,
        )
    return Connection(
        profile,
        rng,
        began=began,
        bare_esp=bare_esp,
        certificate=certificate,
        authorities=authorities,
        derive=derive,
        person=person,
    )


def recorded_to(path: str, record: Callable[[LogEvent], None]) -> PrivateFile:
    """The file of a record. Raises PlatformError."""
    file = PrivateFile(File(path), MOST, record, kept=True)
    record(LogEvent("service.record", {"path": path}))
    return file


def again(head: Mapping[str, object], fed: Fed) -> Connection:
    """The core that a record begins with. Raises RecordError."""
    try:
        match head:
            case {
                "side": "client",
                "name": str(name),
                "profile": str(profile),
                "began": [str(wall), float(second)],
                "bare_esp": bool(bare_esp),
                "certificate": certificate,
                "authorities": authorities,
                "draws": draws,
            }:
                pass
            case _:
                raise RecordError("the first line lacks what a client's record begins with")
        fed.feed(octets_of(draws), ())
        return Connection(
            read(profile, name=name, path="the record's profile"),
            fed,
            began=(datetime.fromisoformat(wall), second),
            bare_esp=bare_esp,
            certificate=shown_again(certificate),
            authorities=octets_of(authorities),
            derive=fed.derive,
        )
    except RecordError:
        raise
    except (CulvertError, TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"the first line makes no sense: {error}") from None
