"""Processes that benchmarks measure: real daemons and simulators, surely ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = [
    "Control",
    "Failed",
    "Markd",
    "Result",
    "at_most",
    "cpu_s",
    "environment_of_its_own",
    "exact_cpu_s",
    "markd",
    "python_process",
    "rates",
    "resident_mib",
    "simulator",
    "started",
    "tell",
    "times",
    "wait_until",
]

_ROOT = Path(__file__).resolve().parents[1]
_READY_S = 30.0
_STOPPED_S = 10.0
_ON_THE_AIR = re.compile(r"on the air: .* requests on port (\d+)")


class Failed(Exception):
    """What was promised is not kept, or cannot be measured; the text says what has happened."""


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was measured, beside what limits it."""

    ours: float
    limit: float
    ratio: float
    """The higher, the better."""
    goal: float
    """What the ratio is to be at least."""
    spread: tuple[float, float] | None = None
    """The lowest and the highest ratio of the repetitions."""

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.ratio >= self.goal

    def to_json(self) -> dict[str, float]:
        """Return what ``results.json`` has of it."""
        return {"ours": self.ours, "limit": self.limit, "ratio": self.ratio, "goal": self.goal}


def at_most(ours: float, limit: float) -> Result:
    """Return the result for what must not be more than *limit*: seconds, threads, megabytes."""
    return Result(ours, limit, limit / ours, 1.0)


def rates(ours: Sequence[float], raw: Sequence[float], goal: float) -> Result:
    """Compare how many a second, the more the better.

    Args:
        ours: One of each repetition.
        raw: The same of the yardstick, measured right beside it.
        goal: Which share of the yardstick is to be reached.
    """
    pairs = [one / other for one, other in zip(ours, raw, strict=True)]
    return _compared(ours, raw, statistics.median(ours) / statistics.median(raw), pairs, goal)


def times(ours: Sequence[float], raw: Sequence[float], most: float) -> Result:
    """Compare how long something takes, the less the better.

    Args:
        ours: One of each repetition.
        raw: The same of the yardstick, measured right beside it.
        most: How many times as long as the yardstick it may take.
    """
    pairs = [other / one for one, other in zip(ours, raw, strict=True)]
    return _compared(ours, raw, statistics.median(raw) / statistics.median(ours), pairs, 1 / most)


def _compared(
    ours: Sequence[float], raw: Sequence[float], ratio: float, pairs: list[float], goal: float
) -> Result:
    spread = min(pairs), max(pairs)
    return Result(statistics.median(ours), statistics.median(raw), ratio, goal, spread)


def environment_of_its_own(folder: Path) -> dict[str, str]:
    """Return an environment of our own: no daemon of this machine is met, no file is left."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MKTL_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return kept | {
        "PYTHONPATH": str(_ROOT),
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


class Control:
    """The control port of a simulator."""

    def __init__(self, url: str, address: str) -> None:
        """Connect to *address*, ``HOST:PORT``; *url* is where its device is."""
        host, _, port = address.rpartition(":")
        self.url = url
        self._connection = socket.create_connection((host, int(port)), timeout=_READY_S)
        self._replies = self._connection.makefile("rb")

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send one request and return the answer."""
        self._connection.sendall(json.dumps({"cmd": command, **fields}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._replies.readline())
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer

    def value(self, name: str) -> float:
        """Return one of its quantities."""
        found: float = self.ask("get", names=[name])["values"][name]
        return found

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._connection.close()


@contextlib.contextmanager
def simulator(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Control]:
    """Run a simulator for the length of the ``with`` block.

    Args:
        command: Arguments of Python; it prints where it is, as ``marksim`` does.
        environment: All variables.
    """
    with started(command, environment) as (_process, line), contextlib.ExitStack() as stack:
        where = json.loads(line)
        control = Control(where["url"], where["control"])
        stack.callback(control.close)
        yield control


@dataclass(frozen=True, slots=True)
class Markd:
    """A daemon that runs."""

    pid: int
    """Its process."""
    port: int
    """Where it takes requests."""


@contextlib.contextmanager
def markd(file: Path, environment: Mapping[str, str]) -> Iterator[Markd]:
    """Run ``markd`` with the instrument file *file* for the length of the ``with`` block."""
    with python_process(["-m", "markd", str(file)], environment) as (process, log):
        wait_until(
            lambda: process.poll() is not None or _ON_THE_AIR.search(_text(log)),
            lambda: f"markd is not on the air; it says:\n{_text(log)}",
        )
        found = _ON_THE_AIR.search(_text(log))
        if found is None:
            raise RuntimeError(f"markd has ended; it says:\n{_text(log)}")
        yield Markd(process.pid, int(found[1]))


@contextlib.contextmanager
def python_process(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run Python with the arguments *command*, and give the process and its standard error."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        try:
            yield process, log
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOPPED_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """Do the same, and give the process and the line that it prints when it is ready.

    Raises:
        Failed: it ends before that; the text says what it says.
    """
    with python_process(command, environment) as (process, log):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Failed(f"{' '.join(command)} does not start; it says:\n{_text(log)}")
        yield process, line


def tell(process: subprocess.Popen[bytes], text: str = "") -> None:
    """Write *text* to the standard input of *process*, as a line."""
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()


def _text(log: IO[bytes]) -> str:
    # Not by seek(): the process writes where this descriptor stands.
    return os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")


def wait_until(ready: Callable[[], object], otherwise: Callable[[], str]) -> None:
    """Wait until *ready* is true; *otherwise* says what is wrong if it never is."""
    deadline = time.monotonic() + _READY_S
    while not ready():
        if time.monotonic() > deadline:
            raise Failed(otherwise())
        time.sleep(0.05)


def cpu_s(pid: int) -> float:
    """Return the seconds of processor time that the threads of a process have taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exact_cpu_s(pid: int) -> float:
    """Return the same of threads that have not ended, and not in ticks of 10 ms."""
    nanoseconds = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            nanoseconds += int(path.read_text().split()[0])
    if not nanoseconds:
        raise Failed("the system does not say how long threads have run (/proc/PID/schedstat)")
    return nanoseconds / 1e9


def resident_mib(pid: int) -> float:
    """Return the memory that a process has in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20
