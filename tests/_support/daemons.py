"""Daemons in this process, and stores that reach them over real sockets all the same."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import mktl
from mktl import announcing
from mktl.store import Store
from tests._support.processes import Child, running
from tests._support.wire import RawClient

__all__ = ["client_of", "daemon_process", "raw_client", "serving", "store_at"]


@contextlib.contextmanager
def serving(
    items: dict[str, dict[str, Any]] | None = None,
    *,
    store: str = "cryo",
    alias: str = "hw",
    daemon_class: type[mktl.Daemon] = mktl.Daemon,
) -> Iterator[mktl.Daemon]:
    """Run a daemon with plain *items*, by default those that *daemon_class* makes."""

    class Described(daemon_class):  # type: ignore[misc,valid-type]
        def describe_items(self) -> Any:
            return {**super().describe_items(), **(items or {})}

    # There is no registry; the call for one need not be waited for.
    with mock.patch.object(announcing, "CALL_WAIT_S", 0.01):
        daemon = Described(store, alias)
    try:
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def store_at(name: str, port: int) -> Iterator[Store]:
    """Return a client's view of a store, whatever daemons this process has."""
    store = Store(name, at=("127.0.0.1", port))
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def client_of(daemon: mktl.Daemon) -> Iterator[Store]:
    """Return a client's view of the store of *daemon*, over real sockets."""
    with store_at(daemon.store.name, daemon.ports[0]) as store:
        yield store


@contextlib.contextmanager
def raw_client(daemon: mktl.Daemon) -> Iterator[RawClient]:
    """Return a client of *daemon* without any code of ours."""
    client = RawClient(*daemon.ports)
    try:
        yield client
    finally:
        client.close()


DAEMON = """
import importlib.util, os, signal, sys

import mktl

# Not an Event: its set() would wait for ever if the signal came as its wait() holds the lock. Nor
# written by the handler: that waits for the read() to end, if the signal came just before that.
heard, tell = os.pipe()
os.set_blocking(tell, False)
signal.set_wakeup_fd(tell)
signal.signal(signal.SIGTERM, lambda *_: None)
daemon_class = mktl.Daemon
if {module!r}:
    spec = importlib.util.spec_from_file_location("author", {module!r})
    author = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(author)
    daemon_class = author.Daemon
class Options:
    catalog = {catalog!r}
try:
    daemon = daemon_class({store!r}, {alias!r}, options=Options if {catalog!r} else None)
except mktl.MktlError as error:
    print(f"refused: {{type(error).__name__}}: {{error}}", flush=True)
    sys.exit(3)
print("ports", *daemon.ports, flush=True)
os.read(heard, 1)
daemon.stop()
"""


@contextlib.contextmanager
def daemon_process(
    directory: Path,
    items: dict[str, dict[str, Any]] | None = None,
    *,
    store: str = "cryo",
    alias: str = "hw",
    code: str = "",
    env: dict[str, str] | None = None,
    ready: str = r"^ports (\d+) (\d+)$",
) -> Iterator[Child]:
    """Run a daemon as a process of its own; *code* may define its class ``Daemon``."""
    catalog = module = ""
    if items is not None:
        path = directory / f"{store}-{alias}.json"
        path.write_text(json.dumps(items))
        catalog = str(path)
    if code:
        path = directory / f"{store}_{alias}_author.py"
        path.write_text(code)
        module = str(path)
    source = directory / f"{store}-{alias}-daemon.py"
    source.write_text(DAEMON.format(store=store, alias=alias, catalog=catalog, module=module))
    with running([source], ready=ready, env=env) as child:
        yield child


def ports_of(child: Child) -> tuple[int, int]:
    """Return the ports that a daemon process has printed."""
    match = child.wait_for(r"^ports (\d+) (\d+)$")
    return int(match[1]), int(match[2])
