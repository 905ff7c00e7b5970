"""A client service whose workers are captured: ``hostile_service.py STATE SOCKET``."""

from __future__ import annotations

import sys
from pathlib import Path

from culvert.client import births
from culvert.client.daemon import run_service

state, control = sys.argv[1:]
captured = Path(__file__).parents[1] / "gateway" / "hostile_worker.py"
births.WORKER = (sys.executable, str(captured), "client")
run_service(state_dir=state, socket=control)
