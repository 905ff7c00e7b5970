"""Who is connecting: what the profile knows of the person, and what must be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from culvert.profile.profile import Profile
from culvert.secret import Secret

GROUP_KEY = "group-key"
"""What the person is asked for when the profile holds no group key."""


class Person:
    """What is known of whoever connects, from the profile and from earlier answers."""

    def __init__(self, profile: Profile) -> None:
        self.user = profile.user
        self.group_key = profile.group_key
        self._saved = profile.password
        self._password: Secret | None = self._saved
        self._domain = profile.domain

    @property
    def known(self) -> dict[str, Secret]:
        known: dict[str, Secret] = {}
        if self.user:
            known["user"] = Secret(self.user)
        if self._password is not None:
            known["password"] = self._password
        if self._domain:
            known["domain"] = Secret(self._domain)
        return known

    def missing(self, wants: tuple[str, ...], *, repeated: bool) -> tuple[str, ...]:
        """What must be asked; a saved password serves once."""
        known = self.known
        if not repeated and all(want in known for want in wants):
            return ()
        return tuple(w for w in wants if w not in known or (repeated and w != "user"))

    def answer(self) -> dict[str, Secret]:
        """What to say when nothing is `missing`."""
        return self.known

    def forget(self) -> None:
        """The connection is over: what was told for it, and not saved, is gone."""
        self._password = self._saved

    def told(self, values: Mapping[str, Secret]) -> dict[str, Secret]:
        """An answer, completed by what is known. A password is remembered while the connection
        lasts: phase 1 is renewed, and a lost gateway called again, without asking anew."""
        if user := values.get("user"):
            self.user = user.reveal()
        self._password = values.get("password", self._password)
        return {**self.known, **values}


PLACEHOLDER = Secret("held by the vault")
"""Stands for a secret in a process that does not hold it."""


class FarPerson(Person):
    """The same in a worker: passwords stay with the vault, which gives one by ``ask`` for one
    answer. Its profile has `PLACEHOLDER` for what the vault holds."""

    def __init__(self, profile: Profile, ask: Callable[[], Secret | None]) -> None:
        super().__init__(profile)
        self._ask = ask
        self._wants: tuple[str, ...] = ()

    def missing(self, wants: tuple[str, ...], *, repeated: bool) -> tuple[str, ...]:
        self._wants = wants
        return super().missing(wants, repeated=repeated)

    def answer(self) -> dict[str, Secret]:
        return self._complete(self.known)

    def told(self, values: Mapping[str, Secret]) -> dict[str, Secret]:
        made = super().told(values)
        if self._password is not None:
            self._password = PLACEHOLDER  # the vault has heard it, too
        return made if "password" in values else self._complete(made)

    def _complete(self, known: dict[str, Secret]) -> dict[str, Secret]:
        held = known.pop("password", None)
        if held is not None and "password" in self._wants and (given := self._ask()) is not None:
            known["password"] = given
        return known
