"""Where the vault looks people up: several places, the first that knows a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from culvert.identity.account import Account, Accounts


class FixedAccounts:
    """People named in the configuration itself."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.name: account for account in accounts}

    def find(self, name: str) -> Account | None:
        return self._accounts.get(name)


class FirstOf:
    """Asks one place after the other."""

    def __init__(self, places: Sequence[Accounts]) -> None:
        self._places = places

    def find(self, name: str) -> Account | None:
        for place in self._places:
            if (account := place.find(name)) is not None:
                return account
        return None
