"""What every test run loads: ledgers of what is proved, and how hard properties try."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

pytest_plugins = ["requirements.plugin", "interop.cells", "simulation.plugin"]

# Whether the machine's kernel has IPsec must not decide what is tested; `make xfrm` asks for it.
os.environ.setdefault("CULVERT_ENGINE", "user")

# A run under nohup ignores hangups, one in a script's background Ctrl-C. The programs under test
# are to hear both all the same: what has a handler here is back to its default in them, what is
# ignored stays ignored.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# No deadline per example: how fast one is says more about the machine than about the code.
settings.register_profile("culvert", deadline=None, print_blob=True)
settings.register_profile("fuzz", settings.get_profile("culvert"), max_examples=50_000)
settings.load_profile("culvert")
