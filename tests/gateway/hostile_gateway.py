"""A gateway whose workers are captured: ``hostile_gateway.py CONFIG STATE SOCKET``."""

from __future__ import annotations

import sys
from pathlib import Path

from culvert.gateway import monitor
from culvert.gateway.daemon import run_gateway

monitor.WORKER = (sys.executable, str(Path(__file__).with_name("hostile_worker.py")))
config, state, control = sys.argv[1:]
run_gateway(config, state_dir=state, socket=control)
