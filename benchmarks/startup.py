"""How long commands take from start to end, and a daemon from its start to its first answer.

Whole processes are measured, interleaved, so that a busy machine slows all of them alike. The
yardstick is ``python -c "import zmq"``: Python and the transport, which nobody can do without.
Python keeps the bytecode of modules, as it does for everybody by default.
"""

from __future__ import annotations

import contextlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._support import Result, at_most, environment_of_its_own

__all__ = ["run"]

REPETITIONS = 9
STARTS = 5

_DAEMON = """\
import mktl

class Daemon(mktl.Daemon):
    def describe_items(self):
        return {"temp": {"type": "numeric", "units": "kelvin", "format": "%.3f", "initial": 77.35}}

daemon = Daemon("bench", "tc1")
print(daemon.ports[0], flush=True)
daemon.wait()
"""

_MARK = "import sys; from markd.cli import main; sys.exit(main())"


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure seconds; *short*: as little as shows that it can be done."""
    repetitions, begins = (1, 1) if short else (REPETITIONS, STARTS)
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of_its_own(Path(folder))
        environment["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
        commands = {
            "import zmq": ["-c", "import zmq"],
            "mark get": ["-c", _MARK, "get", "bench.temp"],
            "mark --help": ["-c", _MARK, "--help"],
        }
        starts: list[float] = []
        with _daemon(environment):
            for command in commands.values():  # bytecode and the cache of blocks
                _timed(command, environment)
            times: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(repetitions):
                for name, command in commands.items():
                    times[name].append(_timed(command, environment))
        for _ in range(begins):
            began = time.perf_counter()
            with _daemon(environment) as port:
                _first_answer(port)
                starts.append(time.perf_counter() - began)
    median = {name: statistics.median(measured) for name, measured in times.items()}
    yardstick = median["import zmq"]
    return {
        "mark get, whole process": at_most(median["mark get"], 2.5 * yardstick),
        "mark --help, whole process": at_most(median["mark --help"], 1.2 * yardstick),
        "daemon, start to first answered GET": at_most(statistics.median(starts), 1.0),
    }


def _timed(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    return time.perf_counter() - began


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


def _first_answer(port: int) -> None:
    """Ask for an item by a client that is running already, so that its own start is not counted."""
    from mktl.protocol.message import GET
    from mktl.replies import read_reply
    from mktl.transport.client import RequestClient

    client = RequestClient("127.0.0.1", port)
    try:
        assert read_reply(client.request(GET, "bench.temp"), 5.0).value == 77.35
    finally:
        client.close()
