"""How long commands take from start to end, and a daemon from its start to its first answer.

Whole processes are measured, interleaved, so that a busy machine slows all of them alike. The
yardstick is ``python -c "import zmq"``: Python and the transport, which nobody can do without.
Commands are run as a person runs them: as installed, with the cache of blocks that the first one
has filled, and with the bytecode of modules, which Python keeps by default.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._exchanges import value_of
from benchmarks._support import Failed, Result, at_most, environment_of_its_own, times

__all__ = ["run"]

REPETITIONS = 15
STARTS = 5
_ENDED_S = 60.0

_DAEMON = """\
import mktl

class Daemon(mktl.Daemon):
    def describe_items(self):
        return {"temp": {"type": "numeric", "units": "kelvin", "format": "%.3f", "initial": 77.35}}

daemon = Daemon("bench", "tc1")
print(daemon.ports[0], flush=True)
daemon.wait()
"""


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure seconds; *short*: as little as shows that it can be done."""
    repetitions, begins = (1, 1) if short else (REPETITIONS, STARTS)
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of_its_own(Path(folder))
        environment["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
        commands = {
            "import zmq": [sys.executable, "-c", "import zmq"],
            "mark get": [_mark(), "get", "bench.temp"],
            "mark --help": [_mark(), "--help"],
        }
        starts: list[float] = []
        with _daemon(environment):
            for command in commands.values():  # bytecode and the cache of blocks
                _timed(command, environment)
            took_s: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(repetitions):
                for name, command in commands.items():
                    took_s[name].append(_timed(command, environment))
        for _ in range(begins):
            began = time.perf_counter()
            with _daemon(environment) as port:
                value_of(port, "bench.temp")
                starts.append(time.perf_counter() - began)
    yardstick = took_s["import zmq"]
    return {
        "mark get, whole process": times(took_s["mark get"], yardstick, most=1.6),
        "mark --help, whole process": times(took_s["mark --help"], yardstick, most=1.2),
        "daemon, start to first answered GET": at_most(statistics.median(starts), 1.0),
    }


def _mark() -> str:
    """Return the command as it was installed for this Python."""
    path = Path(sys.executable).with_name("mark")
    if not path.exists():
        raise Failed(f"there is no {path}: install the project first (pip install -e .)")
    return str(path)


def _timed(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        # wait(timeout) would look now and then, in the end each 50 ms.
        end = select.poll()
        descriptor = os.pidfd_open(process.pid)
        try:
            end.register(descriptor, select.POLLIN)
            ended = end.poll(1000 * _ENDED_S)
        finally:
            os.close(descriptor)
        took_s = time.perf_counter() - began
        if not ended:
            process.kill()
    if process.returncode:
        raise Failed(f"{' '.join(command)} has failed: exit code {process.returncode}")
    return took_s


@contextlib.contextmanager
def _daemon(environment: dict[str, str]) -> Iterator[int]:
    """Run a daemon for the length of the ``with`` block and give its request port."""
    with subprocess.Popen(
        [sys.executable, "-c", _DAEMON], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
