"""``markd`` as a process on an instrument file, the simulator that it speaks to, and ``mark``."""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import mktl
from mktl.errors import DeviceLost, DeviceTimeout, LinkDown, ProtocolMismatch
from simulators.cli import main as marksim
from simulators.serve import Simulator
from tests._support import run_cli, running, wait_until

__all__ = [
    "Seen",
    "answered",
    "control",
    "control_at",
    "in_doubt",
    "link_is",
    "mark",
    "never_early",
    "refused",
    "served",
]

T = TypeVar("T")

PATIENT = {"MKTL_TIMEOUT": "20"}
"""The daemon is there, however long a busy machine keeps it from an answer."""


@contextlib.contextmanager
def served(
    file: Path, *, up: tuple[str, ...] = (), urls: dict[str, str] | None = None
) -> Iterator[mktl.Store]:
    """Run ``markd`` on *file*, give its store; the links of the controllers *up* are waited for."""
    options = [word for name, url in (urls or {}).items() for word in ("--url", f"{name}={url}")]
    name = next(line for line in file.read_text().splitlines() if line.startswith("store ="))
    with running(["markd", str(file), *options], ready="on the air"):
        store = mktl.get(name.split('"')[1])
        for controller in up:
            link_is(store, controller, "Up")
        yield store


def link_is(store: mktl.Store, controller: str, state: str, timeout_s: float = 30.0) -> None:
    """Wait until the link of *controller* is *state*."""
    link = store[f"{controller}_link"]
    wait_until(lambda: link.formatted == state, timeout_s, f"{link} to be {state}")


def control(twin: Simulator, *words: str) -> str:
    """Have ``marksim ctl`` speak to *twin*, without a process, and return what it prints."""
    host, port = twin.control_address
    return control_at(f"{host}:{port}", *words)


def control_at(address: str, *words: str) -> str:
    """Do so for a simulator of which only the control port is known."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = marksim(["ctl", address, *words])
    assert status == 0, out.getvalue()
    return out.getvalue()


def mark(*words: str) -> str:
    """Run ``mark``, which has to succeed, and return what it prints."""
    done = run_cli("mark", *words, env=PATIENT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*words: str) -> str:
    """Run ``mark``, which has to fail, and return what it says."""
    done: subprocess.CompletedProcess[str] = run_cli("mark", *words, env=PATIENT)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def answered(call: Callable[[], T]) -> T:
    """Return what *call* returns, as soon as the device answers within its deadline.

    For drivers with the deadline of a fraction of a second, so that silence costs little time: a
    busy machine overruns it now and then, and then the line is put in step again.
    """
    came: list[T] = []

    def tried() -> bool:
        with contextlib.suppress(DeviceTimeout, DeviceLost, LinkDown, ProtocolMismatch):
            came.append(call())
        return bool(came)

    wait_until(tried, what="an answer in time")
    return came[0]


def never_early(early: Callable[[], float], talk: Callable[[], object]) -> None:
    """See to it that *talk* makes no message come sooner than the device allows.

    A twin that a busy machine lets come late to a message finds the next one *early*: then it is
    talked again. A driver that does not keep the gaps is early each time.
    """

    for _attempt in range(10):
        before = early()
        talk()
        if early() == before:
            return
    raise AssertionError("messages come too early each time")


def in_doubt(item: mktl.Item, reason: str = "") -> bool:
    """Whether *item* says that its value is not to be trusted, for *reason*."""
    return item.quality == "invalid" and reason in (item.reason or "")


class Seen:
    """All values of an item that counted as valid when they came."""

    def __init__(self, item: mktl.Item) -> None:
        self.values: list[Any] = []
        self.doubts: list[str] = []
        item.register(self._take, prime=True, payloads=True)

    def _take(self, _item: mktl.Item, payload: mktl.Payload) -> None:
        if payload.quality == "valid":
            self.values.append(payload.value)
        else:
            self.doubts.append(payload.reason or "")
