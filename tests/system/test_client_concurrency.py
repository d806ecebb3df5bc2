"""Many threads, one connection; many clients, one slow controller."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from mktl.controllers import ControllerStatus
from mktl.store import Store
from mktl.transport.client import RequestClient
from tests._support import running, wait_until
from tests._support.daemons import client_of, serving
from tests._support.leaks import open_files
from tests._support.wire import FakeDaemon, RawClient

ITEMS = [f"channel{number}" for number in range(10)]


class SlowController:
    """A bus on which one exchange at a time takes a millisecond."""

    def __init__(self) -> None:
        self.registers: dict[str, Any] = {}
        self.written: list[tuple[str, Any]] = []
        self._turn = threading.Lock()

    def start(self) -> None: ...
    def close(self) -> None: ...

    def status(self) -> ControllerStatus:
        return ControllerStatus("Up", "", 0, 1.0, 50.0)

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None: ...

    def prioritised(self, kind: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def raw(self, text: str) -> str:
        return text

    def exchange(self, key: str, value: Any = None) -> Any:
        assert self._turn.acquire(timeout=60)
        try:
            time.sleep(0.001)
            if value is not None:
                self.registers[key] = value
                self.written.append((key, value))
            return f"{key}={self.registers.get(key)}"
        finally:
            self._turn.release()


class Channel(mktl.Item):
    """One channel of the slow controller."""

    def __init__(self, store: Store, key: str, controller: SlowController) -> None:
        super().__init__(store, key)
        self.controller = controller

    def req_refresh(self) -> str:
        return self.controller.exchange(self.key)

    def req_set(self, request: Any) -> None:
        self.controller.exchange(self.key, request.value)
        self.req_poll()


class Bus(mktl.Daemon):
    def setup(self) -> None:
        self.bus = SlowController()
        self.add_controller("bus", self.bus)
        for key in ITEMS:
            self.add_item(Channel, key, self.bus)


@pytest.fixture
def daemon() -> Iterator[Bus]:
    with serving({}, daemon_class=Bus) as running_:
        yield running_  # type: ignore[misc]


def mixed_requests(store: Store, worker: int, count: int) -> list[str]:
    """Set and read channels, and return what was wrong."""
    choose = random.Random(worker)
    wrong = []
    own = ITEMS[worker % len(ITEMS)]
    for number in range(count):
        try:
            key = choose.choice(ITEMS)
            match choose.randrange(4):
                case 0:
                    store[own].set(f"{worker}:{number}")
                case 1:
                    found = store[key].get(refresh=True)
                    if not str(found).startswith(f"{key}="):
                        wrong.append(f"{key} was answered {found}")
                case 2:
                    found = store[key].value
                    if not str(found).startswith(f"{key}="):
                        wrong.append(f"{key} has the value {found}")
                case 3:
                    with contextlib.suppress(KeyError):
                        store["none"].get()
                        wrong.append("an unknown key was found")
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
    return wrong


def assert_sets_in_order(daemon: Bus) -> None:
    for key in ITEMS:
        by_worker: dict[str, list[int]] = {}
        for written, value in daemon.bus.written:
            if written == key:
                worker, number = value.split(":")
                by_worker.setdefault(worker, []).append(int(number))
        for numbers in by_worker.values():
            assert numbers == sorted(numbers)


def in_threads(*work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"


def test_a_thousand_mixed_requests_from_eight_threads_get_their_own_replies(daemon: Bus) -> None:
    wrong: list[str] = []
    with client_of(daemon) as store:
        in_threads(
            *[
                lambda worker=worker: wrong.extend(mixed_requests(store, worker, 125))
                for worker in range(8)
            ]
        )
        assert wrong == []
        for key in ITEMS:
            assert store[key].get(refresh=True) == f"{key}={daemon.bus.registers.get(key)}"
    assert_sets_in_order(daemon)


CLIENT = """
import sys, threading
sys.path.insert(0, {root!r})
from mktl.store import Store
from tests.system.test_client_concurrency import mixed_requests
store = Store("cryo", at=("127.0.0.1", {port}))
wrong = []
threads = [
    threading.Thread(target=lambda worker=worker: wrong.extend(mixed_requests(store, worker, 125)))
    for worker in range(8)
]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
print("wrong:", wrong, flush=True)
"""


def test_a_thousand_mixed_requests_of_another_process_get_their_own_replies(
    daemon: Bus, tmp_path: Path
) -> None:
    source = tmp_path / "client.py"
    root = str(Path(__file__).resolve().parents[2])
    source.write_text(CLIENT.format(root=root, port=daemon.ports[0]))
    with running([source]) as child:
        assert child.wait(50) == 0
        assert child.stdout_text == "wrong: []\n"
    assert_sets_in_order(daemon)


def test_sets_to_one_item_are_applied_in_the_order_in_which_they_were_sent(daemon: Bus) -> None:
    with client_of(daemon) as store:
        pending = [store[ITEMS[0]].set(f"0:{number}", wait=False) for number in range(300)]
        for one in pending:
            assert one is not None
            one.wait(50)
    assert [value for _key, value in daemon.bus.written] == [f"0:{n}" for n in range(300)]


def test_refreshes_of_one_item_at_the_same_time_share_a_reading() -> None:
    reading, release = threading.Event(), threading.Event()
    count = 0

    class Slow(mktl.Item):
        def req_refresh(self) -> int:
            nonlocal count
            count += 1
            reading.set()
            release.wait(30)
            return count

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Slow, "slow")

    with serving({}, daemon_class=Daemon) as daemon:
        client = RawClient(*daemon.ports)
        ids = [client.send_request("GET", "cryo.slow", {"refresh": True}) for _ in range(20)]
        assert reading.wait(10)
        assert client.get("cryo._hwpid")["value"] == os.getpid()
        release.set()
        values: dict[bytes, object] = {}
        while len(values) < len(ids):
            frames = client.receive()
            assert frames is not None
            if frames[2] == b"REP":
                values[frames[1]] = json.loads(frames[5])["value"]
        client.close()
    assert count == 1
    assert values == dict.fromkeys(ids, 1)


def test_reading_that_began_before_a_set_does_not_hide_what_was_set() -> None:
    reading, release = threading.Event(), threading.Event()
    hardware = {"value": "old"}

    class Racy(mktl.Item):
        def req_refresh(self) -> str:
            found = hardware["value"]
            if found == "old":
                reading.set()
                release.wait(30)
            return found

        def req_set(self, request: Any) -> None:
            hardware["value"] = request.value
            self.publish(request.value)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Racy, "racy")

    with serving({}, daemon_class=Daemon) as daemon:
        client = RawClient(*daemon.ports)
        stale = client.send_request("GET", "cryo.racy", {"refresh": True})
        assert reading.wait(10)
        assert client.set("cryo.racy", "new") == {"value": True}
        release.set()
        assert json.loads(client.reply_to(stale)[5])["value"] == "new"
        assert client.get("cryo.racy")["value"] == "new"
        client.close()


def test_set_that_takes_long_holds_up_neither_other_items_nor_readings_of_its_own() -> None:
    entered, release = threading.Event(), threading.Event()

    class Stage(mktl.Item):
        def req_set(self, request: Any) -> None:
            entered.set()
            release.wait(30)
            self.publish(request.value)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Stage, "stage")

    with serving({"other": {"initial": 0}}, daemon_class=Daemon) as daemon:
        client = RawClient(*daemon.ports)
        moving = client.send_request("SET", "cryo.stage", {"value": 5})
        assert entered.wait(10)
        daemon.store["stage"].publish(3)
        assert client.get("cryo.stage")["value"] == 3
        assert client.set("cryo.other", 1) == {"value": True}
        release.set()
        assert json.loads(client.reply_to(moving)[5]) == {"value": True}
        assert client.get("cryo.stage")["value"] == 5
        client.close()


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    made = FakeDaemon("warm", {"number": {}}, {"number": {"value": 5, "time": 1795469729.1}})
    yield made
    made.close()


def test_threads_that_share_a_connection_wait_for_their_own_replies_only(fake: FakeDaemon) -> None:
    """Replies in another order than requests, late, early, after the time is over."""
    held: list[list[bytes]] = []
    shuffle = random.Random(1)

    def respond(request: list[bytes]) -> list[list[bytes]]:
        held.append([b"a", request[1], b"REP", b"", b"", b'{"value":"%s"}' % request[3]])
        acknowledgement = [b"a", request[1], b"ACK", b"", b"", b""]
        if len(held) < 4:
            return [acknowledgement]
        shuffle.shuffle(held)
        released, held[:] = held[:3], held[3:]
        return [acknowledgement, *released]

    fake.respond = respond
    client = RequestClient("127.0.0.1", fake.rep)
    wrong: list[object] = []
    ending = threading.Event()

    def work(worker: int) -> None:
        choose = random.Random(worker)
        for number in range(100):
            target = f"warm.{worker}-{number}"
            reply = client.request(b"GET", target)
            try:
                response = reply.wait(choose.choice([0.0, 0.001, 30.0]))
            except TimeoutError:
                continue
            if response.payload != {"value": target}:
                wrong.append((target, response.payload))

    def go_on_asking() -> None:
        while not ending.is_set():
            client.request(b"GET", "warm.more").poll()
            ending.wait(0.002)

    helper = threading.Thread(target=go_on_asking)
    helper.start()
    try:
        in_threads(*[lambda worker=worker: work(worker) for worker in range(8)])
    finally:
        ending.set()
        helper.join()
        client.close()
    assert wrong == []


def test_two_threads_may_wait_for_one_reply_and_the_first_may_give_up(fake: FakeDaemon) -> None:
    """The first takes in what arrives for both; the other one has to go on with that."""
    asked: list[list[bytes]] = []

    def respond(request: list[bytes]) -> list[list[bytes]]:
        if request[3] == b"warm.release":
            return [[b"a", one[1], b"REP", b"", b"", b'{"value":1}'] for one in (*asked, request)]
        asked.append(request)
        return [[b"a", request[1], b"ACK", b"", b"", b""]]

    fake.respond = respond
    client = RequestClient("127.0.0.1", fake.rep)
    reply = client.request(b"GET", "warm.number")
    reply.wait_acknowledged()
    gave_up, done = threading.Event(), threading.Event()

    def lead() -> None:
        with contextlib.suppress(TimeoutError):
            reply.wait(2.0)
        gave_up.set()

    def follow() -> None:
        with contextlib.suppress(ConnectionError):
            reply.wait()
            done.set()

    leader, follower = threading.Thread(target=lead), threading.Thread(target=follow)
    leader.start()
    wait_until(client._lead.locked)
    follower.start()
    try:
        assert gave_up.wait(30)
        client.request(b"SET", "warm.release", flags=3)
        assert done.wait(30)
    finally:
        client.close()
        leader.join()
        follower.join(30)
    assert reply.response is not None


def test_close_ends_every_wait_with_an_error(fake: FakeDaemon) -> None:
    fake.respond = lambda request: [[b"a", request[1], b"ACK", b"", b"", b""]]
    for _attempt in range(20):
        client = RequestClient("127.0.0.1", fake.rep)
        outcomes: list[BaseException] = []
        waiting = threading.Semaphore(0)

        def wait(
            client: RequestClient = client,
            outcomes: list[BaseException] = outcomes,
            waiting: threading.Semaphore = waiting,
        ) -> None:
            try:
                reply = client.request(b"GET", "warm.number")
                waiting.release()
                reply.wait()
            except mktl.MktlError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=wait) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _thread in range(3):
            assert waiting.acquire(timeout=10)
        client.close()
        client.close()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert len(outcomes) == 6
        assert all(isinstance(one, ConnectionError) for one in outcomes)
        with pytest.raises(ConnectionError):
            client.request(b"GET", "warm.number")


def test_break_of_the_connection_ends_every_wait_with_an_error(fake: FakeDaemon) -> None:
    fake.respond = lambda request: [[b"a", request[1], b"ACK", b"", b"", b""]]
    client = RequestClient("127.0.0.1", fake.rep)
    outcomes: list[BaseException] = []
    acknowledged = threading.Semaphore(0)

    def wait(timeout_s: float | None) -> None:
        reply = client.request(b"GET", "warm.number")
        reply.wait_acknowledged()
        acknowledged.release()
        try:
            reply.wait(timeout_s)
        except ConnectionError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=wait, args=[30 if n % 2 else None]) for n in range(6)]
    for thread in threads:
        thread.start()
    for _thread in threads:
        assert acknowledged.acquire(timeout=30)
    fake.close()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert len(outcomes) == 6
    client.close()


def test_no_thread_and_no_file_is_left_by_two_hundred_connections(daemon: Bus) -> None:
    def connect() -> None:
        with client_of(daemon) as store:
            assert store["_hwpid"].value == os.getpid()

    for _attempt in range(20):  # what is made once
        connect()
    threads, files = threads_besides(daemon), open_files()
    for _attempt in range(200):
        connect()
    wait_until(lambda: open_files() <= files + 10)
    wait_until(lambda: threads_besides(daemon) <= threads + 2)


def threads_besides(daemon: mktl.Daemon) -> int:
    """Return the number of threads without those of *daemon*, which has more when it is busy."""
    names = [thread.name for thread in threading.enumerate()]
    return len([name for name in names if not name.startswith(daemon.block.name)])


def test_no_thread_and_no_file_is_left_by_daemons_that_stopped() -> None:
    def run() -> None:
        with serving({"x": {"initial": 1, "persist": True}}) as daemon, client_of(daemon) as store:
            assert store["x"].value == 1
        mktl.close()

    for _attempt in range(3):
        run()
    threads, files = threading.active_count(), open_files()
    for _attempt in range(10):
        run()
    wait_until(lambda: open_files() <= files + 4)
    wait_until(lambda: threading.active_count() <= threads)
