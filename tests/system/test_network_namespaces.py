"""Registry, daemon and client on three hosts, and what becomes of them as cables are pulled."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._support import Child, wait_until
from tests.system._hosts import Host, network, why_not

NOTICED_WITHIN_S = 20.0
BACK_WITHIN_S = 30.0
"""The longest pause between two tries to connect is a second; the rest is a loaded machine."""

DAEMON = """
import pathlib, mktl

class Count(mktl.Item):
    '''Keeps a journal of all that it was set to.'''
    journal = pathlib.Path({journal!r}).open("a")
    def req_set(self, request):
        print(request.value, file=self.journal, flush=True)
        self.publish(request.value)

class Ticks(mktl.Item):
    '''Counts up.'''
    count = 0
    def __init__(self, store, key):
        super().__init__(store, key)
        self.poll(0.1)
    def req_refresh(self):
        self.count += 1
        return self.count

class Daemon(mktl.Daemon):
    '''Two items.'''
    def setup(self):
        self.add_item(Count, "count")
        self.add_item(Ticks, "ticks")
"""

CLIENT = """
import json, signal, threading
import mktl

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
lock = threading.Lock()

def say(**fields):
    with lock:
        print(json.dumps(fields), flush=True)

def told(item, payload):
    say(ticks=payload.value, quality=payload.quality, reason=payload.reason)

mktl.get("cryo.ticks").register(told, prime=True, payloads=True)
count, n = mktl.get("cryo.count"), 0
while not stop.is_set():
    n += 1
    try:
        count.set(n, timeout=5)
    except mktl.MktlError as error:
        say(failed=n, error=type(error).__name__, text=str(error))
    else:
        say(done=n)
    stop.wait(0.02)
mktl.close()
"""


class Observatory:
    """The three hosts, and what the client and the daemon have noted."""

    def __init__(self, hosts: dict[str, Host], client: Child, journal: Path) -> None:
        self.hosts = hosts
        self._client = client
        self._journal = journal

    def said(self) -> list[dict[str, Any]]:
        """Return what the client has said so far."""
        whole = self._client.stdout_text.rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait_for(self, *fields: str, after: int, timeout_s: float) -> dict[str, Any]:
        """Wait for the first message with *fields* after so many; return it."""

        def found() -> dict[str, Any] | None:
            return next((one for one in self.said()[after:] if one.keys() >= set(fields)), None)

        return wait_until(found, timeout_s, f"{fields} after {after} messages")

    def becomes(self, quality: str, after: int, timeout_s: float) -> dict[str, Any]:
        """Wait until the client is told that quality; return what it was told."""

        def found() -> dict[str, Any] | None:
            said = self.said()[after:]
            return next((one for one in said if one.get("quality") == quality), None)

        return wait_until(found, timeout_s, f"ticks to be {quality}")

    def wait_s(self, seconds: float) -> None:
        """Let the hosts be for a while."""
        threading.Event().wait(seconds)

    def check_no_set_is_lost(self) -> None:
        """All that was acknowledged was carried out, in order, and nothing was twice."""
        applied = [int(line) for line in self._journal.read_text().split()]
        done = [one["done"] for one in self.said() if "done" in one]
        assert len(done) > 10
        assert applied == sorted(set(applied)), "carried out in another order, or twice"
        assert set(done) <= set(applied)


@contextlib.contextmanager
def observatory(directory: Path) -> Iterator[Observatory]:
    """Run a registry, a daemon and a client, each on a host of its own."""
    if reason := why_not(directory):
        pytest.skip(reason)
    journal = directory / "journal"
    author, client = directory / "author.py", directory / "client.py"
    author.write_text(DAEMON.format(journal=str(journal)))
    client.write_text(CLIENT)
    on_the_air = "is on the air"
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(network(directory, "registry", "daemon", "client"))
        stack.enter_context(
            hosts["registry"].running("-m", "markd.registry", ready="registry is on the air")
        )
        stack.enter_context(
            hosts["daemon"].running(
                "-m", "markd", "cryo", "hw", "-m", str(author), ready=on_the_air
            )
        )
        # Sooner than by default, and after what packets that are lost cost on a loaded machine.
        hosts["client"].environment["MKTL_SILENCE"] = "3"
        child = stack.enter_context(hosts["client"].running(str(client), ready='"done": 20}'))
        made = Observatory(hosts, child, journal)
        yield made
        made.check_no_set_is_lost()


@pytest.mark.timeout(180)
def test_values_of_a_daemon_that_is_cut_off_are_invalid_until_it_is_back(tmp_path: Path) -> None:
    with observatory(tmp_path) as made:
        seen = len(made.said())
        made.hosts["registry"].down()  # nobody needs it now
        made.wait_for("done", after=seen + 5, timeout_s=BACK_WITHIN_S)
        made.hosts["daemon"].cut()
        told = made.becomes("invalid", seen, NOTICED_WITHIN_S)
        assert "cryo.hw" in told["reason"]
        before = len(made.said())
        made.hosts["daemon"].plug_in()
        back = made.becomes("valid", before, BACK_WITHIN_S)
        assert back["ticks"] > told["ticks"]
        made.wait_for("done", after=before, timeout_s=BACK_WITHIN_S)


@pytest.mark.timeout(180)
def test_packets_that_are_lost_or_late_cost_time_and_no_set(tmp_path: Path) -> None:
    chance = random.Random(1)
    with observatory(tmp_path) as made:
        daemon, client = made.hosts["daemon"], made.hosts["client"]
        # Not every kernel has it; cables that come loose for moments lose packets all the same.
        client.delay("delay", "20ms", "10ms", "loss", "5%")
        before = len(made.said())
        for _ in range(10):
            host = chance.choice((daemon, client))
            host.cut()
            made.wait_s(chance.uniform(0.01, 0.2))
            host.plug_in()
            made.wait_s(chance.uniform(0.01, 0.2))
        before = len(made.said())
        made.wait_for("done", after=before, timeout_s=BACK_WITHIN_S)
        # What is invalid already would not be told once more.
        made.becomes("valid", before, BACK_WITHIN_S)

        before = len(made.said())
        daemon.take_address()
        made.becomes("invalid", before, NOTICED_WITHIN_S)
        daemon.give_address()
        before = len(made.said())
        made.becomes("valid", before, BACK_WITHIN_S)
        made.wait_for("done", after=before, timeout_s=BACK_WITHIN_S)
