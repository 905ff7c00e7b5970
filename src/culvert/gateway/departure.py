"""Why a gateway goes: it is shut down, or its machine restarts and it will be back (S0-20)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from culvert.driver.process_end import kill

JOBS = ("systemctl", "list-jobs", "--no-legend")
REBOOTING = ("reboot.target", "kexec.target", "soft-reboot.target")
PATIENCE = 1.0  # seconds: everybody else on this machine is asking it now


async def reason(command: Sequence[str] = JOBS) -> str:
    """A row of tables/endings.toml. Without systemd, or an answer in time: a shutdown."""
    try:
        asked = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return "peer-shutdown"
    try:
        said, _ = await asyncio.wait_for(asked.communicate(), PATIENCE)
    except TimeoutError:
        return "peer-shutdown"
    finally:
        kill(asked)
        await asked.wait()
    jobs = [line.split() for line in said.decode("utf-8", "replace").splitlines()]
    coming = {words[1] for words in jobs if len(words) > 2 and words[2] == "start"}
    return "peer-reboot" if coming.intersection(REBOOTING) else "peer-shutdown"
