"""Whether what was acknowledged is there after ``kill -9``, and what a persistent SET costs.

A real daemon in a process of its own, with persistent items that each count up, and a real client
with many SETs on their way. The daemon is killed at random moments, while it works and while it
starts, and started again on the same files. After each start every item has to be valid, and no
less than the last value that was acknowledged, and no more than the last that was sent: then none
is missing, and none came after a later one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._support import (
    Failed,
    Result,
    at_most,
    environment_of_its_own,
    python_process,
)
from mktl.errors import ConnectionLost, MktlError, NotConnected
from mktl.protocol.message import GET, SET, encode_json
from mktl.replies import read_reply
from mktl.transport.client import Reply, RequestClient

__all__ = ["run"]

SETS, KILLS = 10_000, 5
ITEMS = 48
IN_FLIGHT = 192
"""More than there are items, so that the order of the SETs of each is put to the test."""
KILLED_AS_IT_STARTS = 0.1
RATE_S = 2.0

_PATIENCE_S = 30.0

_DAEMON = f"""\
import mktl

class Daemon(mktl.Daemon):
    def describe_items(self):
        return {{f"n{{n}}": {{"type": "numeric", "persist": True}} for n in range({ITEMS})}}

daemon = Daemon("bench", "disk")
print(daemon.ports[0], flush=True)
daemon.wait()
"""


@dataclass
class Account:
    """What is known of the items."""

    sent: list[int] = field(default_factory=lambda: [0] * ITEMS)
    acknowledged: list[int] = field(default_factory=lambda: [0] * ITEMS)
    total_sent: int = 0
    total_acknowledged: int = 0
    starts_s: list[float] = field(default_factory=list)


def run(
    *, short: bool = False, sets: int = SETS, kills: int = KILLS, seed: int = 0
) -> dict[str, Result]:
    """Send *sets* SETs over *kills* kills; *short*: as little as shows that it can be done.

    Args:
        short: Do less than asked for.
        sets: How many values to set.
        kills: How often to kill the daemon.
        seed: Of what is done at random; 0 takes another one each time.

    Raises:
        Failed: a value was lost or is out of order.
    """
    sets, kills, rate_s = (600, 2, 0.3) if short else (sets, kills, RATE_S)
    seed = seed or random.SystemRandom().randrange(1, 10**9)
    account = Account()
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of_its_own(Path(folder))
        began = time.monotonic()
        try:
            _kill_and_look(environment, account, random.Random(seed), sets, kills)
        except Failed as failure:
            raise Failed(f"{failure} (seed {seed})") from None
        took_s = time.monotonic() - began
        one_s, many_s = _rates(environment, rate_s)
    if not short:
        print(
            f"seed {seed}: {account.total_sent:,} SETs sent in {took_s:.0f} s over {kills} kills, "
            f"{account.total_acknowledged:,} acknowledged, all of them found, none out of order"
        )
    return {
        "start after a kill, to the last value read": at_most(
            statistics.median(account.starts_s), 2.0
        ),
        "persistent SET, 1 in flight": at_most(one_s, 3e-3),
        "persistent SET, 64 in flight": at_most(many_s, 1e-3),
    }


def _kill_and_look(
    environment: Mapping[str, str], account: Account, chance: random.Random, sets: int, kills: int
) -> None:
    left = kills
    while account.total_sent < sets or left:
        if left and chance.random() < KILLED_AS_IT_STARTS:
            _kill_as_it_starts(environment, chance.uniform(0.05, 0.6))
            left -= 1
            continue
        share = (sets - account.total_sent) / (left + 1)
        wanted = max(1, round(share * chance.uniform(0.5, 1.5))) if left else max(1, round(share))
        with _daemon(environment) as (daemon, client):
            _check(client, account, daemon)
            pending = _send(client, account, wanted)
            if left:
                os.kill(daemon.process.pid, signal.SIGKILL)
                left -= 1
            _settle(pending, account)
    with _daemon(environment) as (daemon, client):
        _check(client, account, daemon)


@dataclass
class _Daemon:
    process: subprocess.Popen[bytes]
    began: float


@contextlib.contextmanager
def _daemon(environment: Mapping[str, str]) -> Iterator[tuple[_Daemon, RequestClient]]:
    began = time.monotonic()
    with python_process(["-c", _DAEMON], environment) as (started, log):
        assert started.stdout is not None
        line = started.stdout.readline()
        if not line:
            said = os.pread(log.fileno(), 10_000, 0).decode(errors="replace")
            raise Failed(f"the daemon does not start; it says:\n{said}")
        client = RequestClient("127.0.0.1", int(line), name="bench.disk")
        try:
            yield _Daemon(started, began), client
        finally:
            client.close()


def _kill_as_it_starts(environment: Mapping[str, str], after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DAEMON],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        time.sleep(after_s)
        started.kill()


def _send(client: RequestClient, account: Account, wanted: int) -> deque[tuple[int, int, Reply]]:
    """Send *wanted* SETs, and return those whose replies have not come yet."""
    pending: deque[tuple[int, int, Reply]] = deque()
    for _ in range(wanted):
        if len(pending) >= IN_FLIGHT:
            _take(pending, account)
        item = account.total_sent % ITEMS
        value = account.sent[item] + 1
        request = client.request(
            SET,
            f"bench.n{item}",
            encode_json({"value": value}),
            ack_timeout_s=_PATIENCE_S,
        )
        account.sent[item] = value
        account.total_sent += 1
        pending.append((item, value, request))
    return pending


def _take(pending: deque[tuple[int, int, Reply]], account: Account) -> None:
    """Wait for the reply to the SET that was sent first."""
    item, value, request = pending.popleft()
    answer = request.wait(_PATIENCE_S).payload
    if "error" in answer:
        raise Failed(f"n{item} was not set to {value}: {answer['error']}")
    if value <= account.acknowledged[item]:
        raise Failed(f"n{item} = {value} was acknowledged after {account.acknowledged[item]}")
    account.acknowledged[item] = value
    account.total_acknowledged += 1


def _settle(pending: deque[tuple[int, int, Reply]], account: Account) -> None:
    """Take what was answered before the daemon died; of the rest nobody can know."""
    while pending:
        with contextlib.suppress(ConnectionLost, NotConnected):
            _take(pending, account)


def _check(client: RequestClient, account: Account, daemon: _Daemon) -> None:
    asked = [
        client.request(GET, f"bench.n{item}", ack_timeout_s=_PATIENCE_S) for item in range(ITEMS)
    ]
    for item, request in enumerate(asked):
        try:
            payload = read_reply(request, _PATIENCE_S)
        except MktlError as error:
            raise Failed(f"n{item} cannot be read after the start: {error}") from error
        value, least, most = payload.value or 0, account.acknowledged[item], account.sent[item]
        if not least <= value <= most or payload.quality != "valid":
            raise Failed(
                f"n{item} is {value} ({payload.quality}: {payload.reason}) after a restart, but "
                f"{least} was acknowledged, and {most} was sent last"
            )
        account.acknowledged[item] = value  # it was on disk, and so has to stay
    account.starts_s.append(time.monotonic() - daemon.began)


def _rates(environment: Mapping[str, str], for_s: float) -> tuple[float, float]:
    """Return seconds for one SET with 1, and with 64 of them on their way; of three, the middle."""
    measured: dict[int, list[float]] = {1: [], 64: []}
    with _daemon(environment) as (_, client):
        value = 10**9
        for in_flight in (1, 64) * 3:
            pending: deque[Reply] = deque()
            count, began = 0, time.monotonic()
            while (now := time.monotonic()) < began + for_s:
                if len(pending) == in_flight:
                    pending.popleft().wait(_PATIENCE_S)
                    count += 1
                value += 1
                pending.append(
                    client.request(SET, f"bench.n{value % ITEMS}", encode_json({"value": value}))
                )
            measured[in_flight].append((now - began) / max(1, count))
            for request in pending:
                request.wait(_PATIENCE_S)
    return statistics.median(measured[1]), statistics.median(measured[64])
