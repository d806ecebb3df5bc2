"""How long commands take from start to end, and a daemon from its start to its first answer.

Whole processes are measured, interleaved, so that a busy machine slows all of them alike. The
yardstick is ``python -c "import zmq"``: Python and the transport, which nobody can do without.
Python keeps the bytecode of modules, as it does for everybody by default.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["run"]

REPETITIONS = 9
STARTS = 5

_ROOT = Path(__file__).resolve().parents[1]

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


def run() -> dict[str, dict[str, float]]:
    """Measure, and return seconds by what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(Path(folder))
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
            for _ in range(REPETITIONS):
                for name, command in commands.items():
                    times[name].append(_timed(command, environment))
        for _ in range(STARTS):
            began = time.perf_counter()
            with _daemon(environment) as port:
                _first_answer(port)
                starts.append(time.perf_counter() - began)
    median = {name: statistics.median(measured) for name, measured in times.items()}
    yardstick = median["import zmq"]
    return {
        "mark get, whole process": _result(median["mark get"], 2.5 * yardstick, 2.5 / 1.6),
        "mark --help, whole process": _result(median["mark --help"], 1.2 * yardstick, 1.2),
        "daemon, start to first answered GET": _result(statistics.median(starts), 1.0, 2.0),
    }


def _result(ours_s: float, limit_s: float, goal: float) -> dict[str, float]:
    return {"ours": ours_s, "limit": limit_s, "ratio": limit_s / ours_s, "goal": goal}


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment of our own: no daemon of this machine is met, no file is left."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MKTL_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return kept | {
        "PYTHONPATH": str(_ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "MKTL_HOME": str(folder / "home"),
        "MKTL_BIND": "127.0.0.1",
        "MKTL_BROADCAST": "127.255.255.255",
        "MKTL_REGISTRY_PORT": str(_free_udp_port()),
        "MKTL_DISCOVERY_PORT": str(_free_udp_port()),
    }


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
