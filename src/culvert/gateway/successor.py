"""The process that follows a gateway which restarts; only that one starts it."""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress

from culvert.driver.control import problem
from culvert.errors import CulvertError
from culvert.gateway.daemon import run_after
from culvert.gateway.succession import inherit


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as baton:
        try:
            run_after(inherit(baton))
        except CulvertError as error:
            with suppress(OSError):  # the old process may have heard enough, or be gone
                baton.send(json.dumps({"refused": problem(error)}).encode())
            sys.exit(1)


if __name__ == "__main__":
    main()
