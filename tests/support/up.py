"""`footfall up`, as users run it."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

FOOTFALL = [str(Path(sys.executable).with_name("footfall")), "up"]
HURRIED = [sys.executable, "-P", str(Path(__file__).with_name("hurried.py")), "up"]
"""The same, that need not be waited for until it looks what is due."""


class Up:
    """A running `footfall up`."""

    def __init__(self, config, *options, command=FOOTFALL):
        # Where it writes is a file: a pipe that nobody reads would hold it up.
        self.log = config.with_suffix(".log")
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [*command, "--config", str(config), *options],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def address(self, name):
        return await self.said(rf"{name}\s+http://([^\s\"]+)")  # a line, or one in JSON

    async def said(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            await asyncio.sleep(0.05)
        return found[1] if found.groups() else found[0]

    def workers(self):
        """The process ids of the workers, the first one first."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        found = [int(pid) for pid in children.split()]
        return [
            p
            for p in found
            if b"footfall_collector.process.worker" in Path(f"/proc/{p}/cmdline").read_bytes()
        ]

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)
