"""Real child processes: started, ready, surely ended, and their output at hand."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from tests._support.waiting import WAIT_S, wait_until

__all__ = ["Child", "describe_process", "process_alive", "process_stat", "run_cli", "running"]

ROOT = Path(__file__).resolve().parents[2]
SHOWN_LINES = 200


class Child:
    """A running child process whose output is being collected. Made by :func:`running`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None) -> None:
        self.command = list(command)
        # A session of its own, so that what it started can be found and ended with it.
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        self._out = _Collector(self._process.stdout, f"stdout of {self.pid}")
        self._err = _Collector(self._process.stderr, f"stderr of {self.pid}")

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, or minus the signal that ended it; ``None`` while it runs."""
        return self._process.poll()

    @property
    def stdout_text(self) -> str:
        """All that it has printed to stdout so far."""
        return self._out.text

    @property
    def stderr_text(self) -> str:
        """All that it has printed to stderr so far."""
        return self._err.text

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, not to its children."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9`` the process alone, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float = WAIT_S) -> int:
        """Wait for the end of the process and return its exit status; its output is complete then.

        Raises:
            AssertionError: it still runs after *timeout_s*.
        """
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:g} s: {self.name}") from None
        # A grandchild may hold the pipe; the end of this context looks for those.
        self._out.join(1.0)
        self._err.join(1.0)
        return status

    def wait_for(self, pattern: str, timeout_s: float = WAIT_S) -> re.Match[str]:
        """Wait until *pattern* is found in stdout or stderr, line by line, and return the match.

        Raises:
            AssertionError: it was not found in time, or the process ended without printing it.
        """
        compiled = re.compile(pattern, re.MULTILINE)

        def found() -> re.Match[str] | None:
            return compiled.search(self.stdout_text) or compiled.search(self.stderr_text)

        def found_or_ended() -> object:
            return found() or self.returncode is not None

        wait_until(found_or_ended, timeout_s, f"{pattern!r} in the output of {self.name}")
        if self.returncode is not None:
            self.wait()
        match = found()
        if match is None:
            raise AssertionError(
                f"ended with status {self.returncode} without printing {pattern!r}: {self.name}"
            )
        return match

    @property
    def name(self) -> str:
        """The command line, as text."""
        return " ".join(self.command)

    def report(self) -> str:
        """Return the command, its status and the end of what it printed, for a person to read."""
        status = "running" if self.returncode is None else f"status {self.returncode}"
        parts = [f"--- {self.name} (pid {self.pid}, {status})"]
        for title, text in (("stdout", self.stdout_text), ("stderr", self.stderr_text)):
            lines = text.splitlines()
            cut = [f"[{len(lines) - SHOWN_LINES} lines before]"] if len(lines) > SHOWN_LINES else []
            parts += [f"--- {title}:", *cut, *lines[-SHOWN_LINES:]]
        return "\n".join(parts)

    def end(self, timeout_s: float) -> list[str]:
        """Stop the process and all that it started, and return what should not have been needed."""
        complaints = []
        if self.returncode is None:
            self._process.terminate()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                complaints.append(f"did not stop within {timeout_s:g} s of SIGTERM")
                self.kill()
        killed = self.returncode == -signal.SIGKILL
        with contextlib.suppress(AssertionError):
            # What was killed had no chance to end what it started.
            wait_until(lambda: not _group_members(self.pid), 0.0 if killed else 10.0)
        left = _group_members(self.pid)
        if left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            if not killed:
                complaints.append(f"left processes behind: {', '.join(left)}")
        self._out.close()
        self._err.close()
        return complaints


class _Collector:
    """Reads a pipe to its end on a thread of its own."""

    def __init__(self, pipe: IO[bytes] | None, name: str) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._chunks: list[bytes] = []
        self._taking = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name=name)
        self._thread.start()

    @property
    def text(self) -> str:
        # Also what was written just before, and on a busy machine the thread has not come to yet.
        for _ in range(2):
            self._take()
        return b"".join(self._chunks).decode(errors="replace")

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def close(self) -> None:
        # The writers are dead by now, so the end of the pipe is near.
        self._thread.join(10.0)
        if self._thread.is_alive():
            raise AssertionError(f"{self._thread.name} is still held open by somebody")
        self._pipe.close()

    def _read(self) -> None:
        readable = _poller(self._pipe)
        while not self._ended:
            readable.poll()
            self._take()

    def _take(self) -> None:
        """Take what is there, as much as a pipe holds; do not wait for more."""
        with self._taking:
            if not self._ended and _poller(self._pipe).poll(0):
                chunk = os.read(self._pipe.fileno(), 65536)
                self._chunks.append(chunk)
                self._ended = not chunk


def _poller(pipe: IO[bytes]) -> select.poll:
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    return poller


@contextlib.contextmanager
def running(
    argv: Sequence[str | os.PathLike[str]],
    *,
    ready: str | re.Pattern[str] | Callable[[Child], object] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = WAIT_S,
    stop_timeout_s: float = WAIT_S,
) -> Iterator[Child]:
    """Run a real child process for the length of the ``with`` block.

    Args:
        argv: One of our commands (``["mark", "list"]``), arguments of Python (``["-m", "markd"]``,
            ``["examples/demo.py"]``), or any other command.
        ready: What to wait for before the block is entered: a regular expression in its stdout or
            stderr, or a function of the :class:`Child` that becomes true.
        env: Variables in addition to those of this test.
        cwd: Its working directory.
        timeout_s: How long it may take to become ready.
        stop_timeout_s: How long it may take to stop after SIGTERM.

    What it printed is printed again when it ends: pytest shows it if the test fails.

    Raises:
        AssertionError: it did not become ready, did not stop on SIGTERM, or left processes behind.
    """
    child = Child(_command(argv), _environment(env), cwd)
    complaints: list[str] = []
    try:
        if callable(ready):
            _wait_for_predicate(child, ready, timeout_s)
        elif ready is not None:
            child.wait_for(ready if isinstance(ready, str) else ready.pattern, timeout_s)
        yield child
    finally:
        try:
            complaints = child.end(stop_timeout_s)
        finally:
            print(child.report(), file=sys.stderr)
    if complaints:
        raise AssertionError(f"{child.name}: {'; '.join(complaints)}")


def run_cli(
    *argv: str | os.PathLike[str],
    timeout_s: float = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return status, stdout and stderr; *argv* as in :func:`running`.

    Raises:
        AssertionError: it was still running after *timeout_s* and has been killed.
    """
    command = _command(argv)
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=_environment(env),
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(
            f"still running after {timeout_s:g} s: {' '.join(command)}\n"
            f"stdout: {error.stdout!r}\nstderr: {error.stderr!r}"
        ) from None
    print(f"--- {' '.join(command)} (status {done.returncode})", file=sys.stderr)
    print(f"--- stdout:\n{done.stdout}--- stderr:\n{done.stderr}", file=sys.stderr)
    return done


def process_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended but was not waited for does not."""
    fields = process_stat(pid)
    return fields is not None and fields[0] not in "ZX"


def _wait_for_predicate(child: Child, ready: Callable[[Child], object], timeout_s: float) -> None:
    def ready_or_ended() -> object:
        return child.returncode is not None or ready(child)

    wait_until(ready_or_ended, timeout_s, f"ready: {child.name}")
    if child.returncode is not None:
        raise AssertionError(f"ended with status {child.returncode} before ready: {child.name}")


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **(extra or {})}


def _command(argv: Sequence[str | os.PathLike[str]]) -> list[str]:
    first, *rest = (os.fspath(part) for part in argv)
    if first in ("-m", "-c") or first.endswith(".py"):
        return [sys.executable, first, *rest]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    if first in scripts:
        # The installed command, as people run it; without an installation, the same function.
        beside = Path(sys.executable).parent / first
        if beside.exists():
            return [str(beside), *rest]
        module, function = scripts[first].split(":")
        code = f"import sys; from {module} import {function} as f; sys.exit(f())"
        return [sys.executable, "-c", code, *rest]
    return [shutil.which(first) or first, *rest]


def _group_members(group: int) -> list[str]:
    """Describe the living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = process_stat(int(entry.name))
            if fields is not None and fields[0] not in "ZX" and int(fields[2]) == group:
                found.append(describe_process(int(entry.name)))
    return found


def describe_process(pid: int) -> str:
    """Return the id and command line of a process."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        line = b""
    return f"{pid} ({line.replace(bytes(1), b' ').decode(errors='replace').strip() or 'ended'})"


def process_stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` after the name: state, parent, group ..."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
