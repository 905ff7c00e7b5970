"""What every test run loads: ledgers of what is proved, and how hard properties try."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["requirements.plugin", "interop.cells", "simulation.plugin"]

# Whether the machine's kernel has IPsec must not decide what is tested; `make xfrm` asks for it.
os.environ.setdefault("CULVERT_ENGINE", "user")

# No deadline per example: how fast one is says more about the machine than about the code.
settings.register_profile("culvert", deadline=None, print_blob=True)
settings.register_profile("fuzz", settings.get_profile("culvert"), max_examples=50_000)
settings.load_profile("culvert")
