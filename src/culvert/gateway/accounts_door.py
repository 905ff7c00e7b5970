"""Users of the store, for the vault, which opens no file: it asks the monitor by name.

A thread at either end; what passes from here to there is one name, and back one account.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from datetime import datetime
from typing import cast

from culvert.driver.handing import Codec, Form
from culvert.driver.message import LONGEST
from culvert.errors import PlatformError
from culvert.identity.account import Account, Accounts

_CODEC = Codec((), {datetime: Form(datetime.isoformat, datetime.fromisoformat)})


class AskedAccounts:
    """The vault's end. May be asked from several threads."""

    def __init__(self, end: socket.socket) -> None:
        self._stream = end.makefile("rwb", buffering=LONGEST)
        self._lock = threading.Lock()

    def find(self, name: str) -> Account | None:
        with self._lock:
            self._stream.write(json.dumps(name).encode() + b"\n")
            self._stream.flush()
            line = self._stream.readline(LONGEST)
        if not line:
            raise PlatformError("the users are not to be had", action="start the gateway again")
        return cast("Account | None", _CODEC.read(json.loads(line), Account | None, now=0.0))


class AccountsDoor:
    """The monitor's end."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def serve(self, end: socket.socket) -> None:
        """Until the vault goes."""
        work = threading.Thread(target=self._serve, args=(end,), name="accounts", daemon=True)
        work.start()

    def _serve(self, end: socket.socket) -> None:
        with suppress(OSError, ValueError), end, end.makefile("rwb", buffering=LONGEST) as stream:
            while line := stream.readline(LONGEST):
                found = self._accounts.find(str(json.loads(line)))
                told = _CODEC.written(found, Account | None, now=0.0)
                stream.write(json.dumps(told).encode() + b"\n")
                stream.flush()
