"""What a test left behind: threads and child processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from tests._support.processes import describe_process, process_alive, process_stat

__all__ = ["Snapshot", "adopt_orphans", "open_files"]

# A client may be looking for a daemon that is gone, which ends by itself after some seconds.
GRACE_S = 15.0
PR_SET_CHILD_SUBREAPER = 36

# Threads that belong to the tools that run the tests.
TOOL_THREADS = ("pytest_timeout", "execnet", "_run_finalizers", "hypothesis", "pydevd", "tqdm")
TOOL_PROCESSES = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be found."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def open_files() -> int:
    """Return the number of open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Snapshot:
    """The threads and child processes of this moment, to compare with later."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._children = _children()

    def leaked(self, grace_s: float = GRACE_S) -> list[str]:
        """Describe what has come since and does not end within *grace_s*.

        Leaked child processes are killed, so that they do not disturb the tests that follow.
        """
        deadline = time.monotonic() + grace_s
        while True:
            threads, children = self._new_threads(), self._new_children()
            if not threads and not children:
                return []
            if time.monotonic() >= deadline:
                break
            time.sleep(0.01)
        found = [f"thread {_describe_thread(thread)}" for thread in threads]
        for pid in children:
            found.append(f"child process {describe_process(pid)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _reap(pid)
        return found

    def _new_threads(self) -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads
            and thread.is_alive()
            and not any(word in thread.name for word in TOOL_THREADS)
            # pyzmq has one for the life of the process, once something was sent without a copy.
            and type(thread).__module__ != "zmq.utils.garbage"
        ]

    def _new_children(self) -> list[int]:
        found = []
        for pid in _children() - self._children:
            if not process_alive(pid):
                _reap(pid)
            elif not any(word in describe_process(pid) for word in TOOL_PROCESSES):
                found.append(pid)
        return sorted(found)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _children() -> set[int]:
    try:
        lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    except OSError:
        lists = []  # a thread has ended meanwhile
    if not lists:
        return _children_among_all()
    return {int(pid) for pids in lists for pid in pids.split()}


def _children_among_all() -> set[int]:
    """Find them the slow way, which every kernel allows."""
    own = str(os.getpid())
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = process_stat(int(entry.name))
            if fields is not None and fields[1] == own:
                found.add(int(entry.name))
    return found


def _describe_thread(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    where = "".join(traceback.format_stack(frame)[-3:]) if frame is not None else "  (ending)\n"
    return f"{thread.name!r}, now at:\n{where}"
