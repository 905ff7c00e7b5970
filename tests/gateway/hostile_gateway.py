"""A gateway of which one process is captured: ``hostile_gateway.py worker|vault CONFIG STATE
SOCKET``."""

from __future__ import annotations

import sys
from pathlib import Path

from culvert.gateway import house, monitor
from culvert.gateway.daemon import run_gateway

which, config, state, control = sys.argv[1:]
captured = (sys.executable, str(Path(__file__).with_name("hostile_worker.py")), which)
if which == "vault":
    house.VAULT = captured
else:
    monitor.WORKER = captured
run_gateway(config, state_dir=state, socket=control)
