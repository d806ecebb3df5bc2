"""A bench: an instrument file, the twins of its controllers, and its daemon in a process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mktl
import simulators
from drivers.wiring import InstrumentFile
from mktl.errors import MktlError

from ._conformance_line import LineOnTrial, line_on_trial

__all__ = ["Bench", "BenchFailed", "bench", "until"]

STARTS_WITHIN_S = 60.0
_STOPS_WITHIN_S = 10.0
_LOOK_S = 0.1
_FIRST_PORT, _PORTS = 10_200, 3_000
_BEFORE_S = 5.0
"""Simulated seconds that pass before the device is held: it may have to start."""


class BenchFailed(Exception):
    """The run cannot go on; the text says why."""


def until(ready: Callable[[], bool], within_s: float, look_s: float = _LOOK_S) -> bool:
    """Wait for *ready*, and tell whether it came within *within_s* seconds."""
    deadline = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(look_s)
    return True


@dataclass(slots=True)
class Bench:
    """What runs."""

    file: InstrumentFile
    lines: tuple[LineOnTrial, ...]
    without: Mapping[str, str]
    """The drivers of controllers that have no twin."""
    process: subprocess.Popen[bytes]
    log: Path
    store: mktl.Store

    def threads(self) -> int | None:
        """Return how many threads the daemon has; ``None`` where nobody can tell."""
        return _entries(self.process.pid, "task")

    def files(self) -> int | None:
        """Return how many files the daemon has open; ``None`` where nobody can tell."""
        return _entries(self.process.pid, "fd")

    def log_lines(self) -> list[str]:
        """Return what the daemon has logged so far."""
        return self.log.read_text(errors="replace").splitlines()

    def check(self) -> None:
        """Raise BenchFailed if the daemon has ended."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log_lines()[-10:])
            raise BenchFailed(
                f"the daemon has ended with status {self.process.returncode}:\n{tail}"
            )


@contextlib.contextmanager
def bench(
    path: Path, file: InstrumentFile, *, seed: int, transports: Mapping[str, str], only: str | None
) -> Iterator[Bench]:
    """Start all of it, and end it again.

    Args:
        path: The instrument file.
        file: What is in it.
        seed: Makes noise and mishaps repeatable.
        transports: How twins are reached, by controller, where not as the file says.
        only: The controller that is to be tested; ``None``: all of them.

    Raises:
        SimulatorError: a twin cannot be made, or does not start.
        BenchFailed: the daemon does not start.
    """
    twins = simulators.twins_of_file(path, seed=seed)
    lines: list[LineOnTrial] = []
    urls: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for line in twins.lines:
            wanted = next((transports[name] for name in line.units if name in transports), None)
            reached = line if wanted is None else line.over(wanted)
            served = reached.served(("127.0.0.1", 0), 1.0, seed)
            simulator = stack.enter_context(served.simulator)
            simulator.skip(_BEFORE_S)
            simulator.hold()
            here = {name: served.url_of(name) for name in served.units}
            urls.update(here)
            lines.append(line_on_trial(file, simulator, here, served.units, reached.transport))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="markd-conformance-")))
        stack.enter_context(_alone(folder / "home"))
        process, log = _started(stack, folder, _order(path, lines, urls, twins.without))
        store = _found(file, process, log)
        tested = tuple(line for line in lines if only is None or only in line.names)
        yield Bench(file, tested, twins.without, process, log, store)


def _order(
    path: Path, lines: Sequence[LineOnTrial], urls: Mapping[str, str], without: Collection[str]
) -> str:
    """Return what the process of the daemon is told."""
    settings = {name: dict(each) for line in lines for name, each in line.settings.items()}
    return json.dumps(
        {
            "file": str(path.absolute()),
            "urls": dict(urls),
            "settings": settings,
            "without": list(without),
            "poll_s": {key: each for line in lines for key, each in line.poll_s.items()},
            "silence_s": {key: each for line in lines for key, each in line.silence_s.items()},
        }
    )


def _started(
    stack: contextlib.ExitStack, folder: Path, order: str
) -> tuple[subprocess.Popen[bytes], Path]:
    place, log = folder / "order.json", folder / "log"
    place.write_text(order)
    out = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", "markd._conformance_daemon", str(place)],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        # A Ctrl-C is for us: we end it when we are done.
        start_new_session=True,
    )
    stack.callback(_ended, process)
    return process, log


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _found(file: InstrumentFile, process: subprocess.Popen[bytes], log: Path) -> mktl.Store:
    """Wait for the daemon, and return its store."""
    found: list[mktl.Store] = []

    def ready() -> bool:
        if process.poll() is not None:
            raise BenchFailed(f"the daemon does not start:\n{log.read_text(errors='replace')}")
        if b"on the air" not in log.read_bytes():
            return False
        with contextlib.suppress(MktlError):
            found.append(mktl.get(file.store))
        return bool(found)

    if not until(ready, STARTS_WITHIN_S):
        raise BenchFailed(f"the daemon is not on the air after {STARTS_WITHIN_S:g} s")
    return found[0]


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Be alone on the network: a home and discovery ports of one's own, on loopback."""
    registry, discovery = _free_udp_ports()
    own = {
        "MKTL_HOME": str(home),
        "MKTL_BIND": "127.0.0.1",
        "MKTL_BROADCAST": "127.255.255.255",
        "MKTL_REGISTRY_PORT": str(registry),
        "MKTL_DISCOVERY_PORT": str(discovery),
        "MKTL_FIRST_PORT": str(_FIRST_PORT + os.getpid() % _PORTS),
    }
    before = {name: value for name, value in os.environ.items() if name.startswith("MKTL_")}
    for name in before:
        del os.environ[name]
    os.environ.update(own)
    try:
        yield
    finally:
        mktl.close()
        for name in own:
            os.environ.pop(name, None)
        os.environ.update(before)


def _free_udp_ports() -> tuple[int, int]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _entries(pid: int, what: str) -> int | None:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir())
    except OSError:
        return None
