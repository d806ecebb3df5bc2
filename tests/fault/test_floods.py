"""Peers that flood a daemon cost it bounded memory and descriptors, and hold up nobody else."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

import mktl
from mktl import _answers, _service
from mktl.transport import doorkeeper
from tests._support import Child, wait_until
from tests._support.daemons import daemon_process, ports_of, raw_client, serving
from tests._support.wire import RawClient, payload_of

MIB = 2**20
TEMP = {"temp": {"type": "numeric", "initial": 77.35}}
PONG = b"\4\5\4PONG"
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)

CODE = """
import os
import numpy as np
import mktl
from mktl.transport import context

limit = int(os.environ.get("TEST_DESCRIPTORS", 0))
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
context.HANDSHAKE_MS = int(os.environ.get("TEST_HANDSHAKE_MS", context.HANDSHAKE_MS))


class Echo(mktl.Item):
    def req_set(self, request):
        return mktl.Payload(np.full(1 << 20, request.value, np.uint8))


class Image(mktl.Item):
    count = 0

    def req_refresh(self):
        self.count += 1
        return np.full(1 << 20, self.count % 256, np.uint8)


class Daemon(mktl.Daemon):
    def describe_items(self):
        return {
            "temp": {"type": "numeric", "initial": 77.35},
            "echo": {"type": "numeric", "initial": 0},
            "image": {"type": "bulk", "settable": False},
        }

    def setup(self):
        self.add_item(Echo, "echo")
        self.add_item(Image, "image").poll(0.01)
"""


def memory(child: Child) -> int:
    """Return the bytes of physical memory that a process has."""
    pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def descriptors(child: Child) -> int:
    return len(list(Path(f"/proc/{child.pid}/fd").iterdir()))


def connections(child: Child) -> int:
    """Return how many sockets a process has: other descriptors come by themselves, some late."""
    found = 0
    for path in Path(f"/proc/{child.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed just now
            found += str(path.readlink()).startswith("socket:")
    return found


@contextlib.contextmanager
def flooded(directory: Path, **env: str) -> Iterator[tuple[Child, RawClient]]:
    """Run a daemon, and a client that was there before the flood."""
    with daemon_process(directory, code=CODE, env=env) as child:
        client = RawClient(*ports_of(child))
        try:
            still_answers(client)
            client.subscribe(b"cryo._hwdev.")  # both of its connections are there, too
            yield child, client
        finally:
            client.close()


def still_answers(client: RawClient) -> None:
    assert client.get("cryo.temp")["value"] == 77.35
    assert client.set("cryo.temp", 77.35) == {"value": True}


@contextlib.contextmanager
def handshaken(port: int, kind: bytes) -> Iterator[socket.socket]:
    """Yield a connection that has shaken hands as ZeroMQ does, and does nothing by itself."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(GREETING)
        received = b""
        while len(received) < 64:
            received += connection.recv(64 - len(received))
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
        connection.sendall(b"\x04" + bytes([len(ready)]) + ready)
        yield connection


def frame(body: bytes, *, more: bool = False) -> bytes:
    flags = 1 if more else 0
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def message(*frames: bytes) -> bytes:
    return b"".join(
        frame(body, more=number < len(frames)) for number, body in enumerate(frames, start=1)
    )


def send_until_ended(connection: socket.socket, data: bytes, meanwhile: Callable[[], None]) -> None:
    """Send *data* again and again, until the other end has had enough."""
    for count in range(1_000_000):
        try:
            connection.sendall(data)
        except TimeoutError:
            raise AssertionError("the daemon neither reads nor ends the connection") from None
        except OSError:
            return
        if count % 100 == 0:
            meanwhile()
    raise AssertionError("the daemon takes everything")


def ended_because(child: Child, reason: str, connection: socket.socket) -> None:
    """Wait until the daemon has said that it has ended *connection*, whose peer lives on."""

    def is_ended() -> bool:
        with contextlib.suppress(OSError):  # else ZeroMQ's heartbeats would end it, after a while
            connection.sendall(PONG)
        return reason in child.stderr_text

    wait_until(is_ended, 40.0, f"a connection ended {reason}")


@pytest.fixture
def _many_descriptors() -> Iterator[None]:
    """Let this process have as many connections as the floods need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_descriptors")
def test_thousands_of_silent_connections_keep_nobody_else_out(tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        env = {"TEST_DESCRIPTORS": "120", "TEST_HANDSHAKE_MS": "2000"}
        child, client = opened.enter_context(flooded(tmp_path, **env))
        before = connections(child)
        for number in range(2000):
            port = ports_of(child)[number % 2]
            silent = opened.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            with contextlib.suppress(OSError):  # it may have been ended at once
                silent.sendall(GREETING[: number % 64])
            if number % 200 == 0:
                still_answers(client)
        slow = opened.enter_context(socket.create_connection(("127.0.0.1", port), 20))
        late = RawClient(*ports_of(child))
        opened.callback(late.close)
        still_answers(late)
        assert descriptors(child) <= 120

        rest = iter(GREETING[:60])

        def have_ended() -> bool:
            with contextlib.suppress(OSError):  # a greeting that comes byte by byte does not help
                slow.sendall(bytes(itertools.islice(rest, 1)))
            assert connections(child) <= before + 2  # the two of the late client
            return True

        wait_until(have_ended, 30.0, "all connections without a greeting ended")
        with contextlib.suppress(ConnectionError):
            while slow.recv(1000):
                pass
        still_answers(client)
        assert child.stderr_text.count("which is all it can have") in (1, 2)


def test_message_of_thousands_of_frames_is_refused(tmp_path: Path) -> None:
    with flooded(tmp_path) as (child, client):
        before = memory(child)
        for _number in range(5):
            client.send(b"a", b"many", b"GET", *[b"x" * 100] * 10_000)
            assert "6 or 7 frames" in payload_of(client.reply_to(b"many"))["error"]["text"]
        assert memory(child) < before + 64 * MIB
        still_answers(client)


def test_message_without_an_end_costs_its_sender_the_connection(tmp_path: Path) -> None:
    with flooded(tmp_path, MKTL_MAX_BACKLOG=str(64 * MIB)) as (child, client):
        before = memory(child)
        with handshaken(ports_of(child)[0], b"DEALER") as greedy:
            send_until_ended(greedy, b"\1\0" * 50_000, lambda: still_answers(client))
        ended_because(child, "that sends a message without an end", greedy)
        wait_until(lambda: memory(child) < before + 64 * MIB, 20.0, "memory given back")
        still_answers(client)


def test_client_that_never_reads_answers_costs_itself_the_connection(tmp_path: Path) -> None:
    with flooded(tmp_path, MKTL_MAX_BACKLOG=str(64 * MIB)) as (child, client):
        request = message(b"a", b"1", b"SET", b"cryo.echo", b"", b'{"value":3}')
        with handshaken(ports_of(child)[0], b"DEALER") as greedy:
            for _number in range(500):  # each answer has a megabyte
                greedy.sendall(request)
            ended_because(child, "whose peer does not read", greedy)
        still_answers(client)


def test_subscriber_that_never_reads_costs_itself_the_connection(tmp_path: Path) -> None:
    with flooded(tmp_path, MKTL_MAX_BACKLOG=str(64 * MIB)) as (child, client):
        client.subscribe(b"cryo.temp.")
        with handshaken(ports_of(child)[1], b"SUB") as greedy:
            greedy.sendall(frame(b"\1cryo.image."))
            ended_because(child, "whose peer does not read", greedy)
        client.set("cryo.temp", 4)
        assert client.next_broadcast()[0] == b"cryo.temp."


def test_hundred_thousand_subscriptions_of_one_peer_cost_little(tmp_path: Path) -> None:
    with flooded(tmp_path) as (child, client):
        before = memory(child)
        request_port, publish_port = ports_of(child)
        busy = RawClient(request_port)
        try:
            busy.subscriber = busy.context.socket(zmq.SUB)
            busy.subscriber.set(zmq.SNDHWM, 0)  # else it would drop subscriptions itself
            busy.subscriber.connect(f"tcp://127.0.0.1:{publish_port}")
            for number in range(100_000):
                busy.subscriber.subscribe(b"cryo.none%d." % number)
            still_answers(client)
            busy.subscriber.subscribe(b"sync:last.")
            busy.next_broadcast(45.0)  # all that came before is in force then
        finally:
            busy.close()
        assert memory(child) < before + 150 * MIB
        client.subscribe(b"cryo.temp.")
        client.set("cryo.temp", 4)
        assert client.next_broadcast()[0] == b"cryo.temp."


def test_subscription_of_megabytes_costs_its_sender_the_connection(tmp_path: Path) -> None:
    with flooded(tmp_path) as (child, client):
        before = memory(child)
        for _number in range(5):
            greedy = handshaken(ports_of(child)[1], b"SUB")
            with greedy as connection, contextlib.suppress(ConnectionError):
                connection.sendall(frame(b"\1" + os.urandom(4 * MIB)))
                while connection.recv(1000):
                    pass
        assert memory(child) < before + 64 * MIB
        still_answers(client)


def test_long_subscriptions_count_as_several(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorkeeper, "MOST_SUBSCRIPTIONS", 500)
    with (
        serving(TEMP) as daemon,
        handshaken(daemon.ports[1], b"SUB") as greedy,
        contextlib.suppress(ConnectionError),
    ):
        for number in range(100):
            greedy.sendall(frame(b"\1%d" % number + bytes(800)))
        while greedy.recv(1000):
            pass
    assert "with 500 subscriptions was ended" in caplog.text


def test_subscriptions_without_an_end_cost_their_sender_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorkeeper, "MOST_SUBSCRIPTIONS", 2000)
    with serving(TEMP) as daemon, raw_client(daemon) as client:
        client.subscribe(b"cryo.temp.")
        with handshaken(daemon.ports[1], b"SUB") as greedy:
            numbers = itertools.count()

            def some() -> bytes:
                return b"".join(frame(b"\1none%d" % next(numbers)) for _one in range(100))

            with contextlib.suppress(ConnectionError):
                for _part in range(100):
                    greedy.sendall(some())
                while greedy.recv(1000):
                    pass
        client.set("cryo.temp", 4)
        assert client.next_broadcast()[0] == b"cryo.temp."
    assert "with 2000 subscriptions was ended" in caplog.text


def test_flood_of_garbage_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    with flooded(tmp_path) as (child, client):
        before = connections(child)
        for number in range(400):
            port = ports_of(child)[number % 2]
            garbage = socket.create_connection(("127.0.0.1", port), 20)
            with garbage as connection, contextlib.suppress(OSError):
                connection.sendall(GREETING * (number % 2) + os.urandom(1000))
        still_answers(client)
        wait_until(lambda: connections(child) <= before, 20.0, "descriptors given back")


def test_frames_over_the_limit_cost_no_memory(tmp_path: Path) -> None:
    with flooded(tmp_path, MKTL_MAX_MESSAGE="100000") as (child, client):
        before = memory(child)
        for _number in range(50):
            greedy = handshaken(ports_of(child)[0], b"DEALER")
            with greedy as connection, contextlib.suppress(OSError):
                connection.sendall(b"\2" + struct.pack(">Q", 2**40) + bytes(200_000))
        still_answers(client)
        assert memory(child) < before + 32 * MIB


def test_deeply_nested_requests_cost_no_memory(tmp_path: Path) -> None:
    with flooded(tmp_path) as (child, client):
        before = memory(child)
        nested = b'{"value":' + b"[" * 500_000
        for _number in range(200):
            client.send(b"a", b"deep", b"SET", b"cryo.temp", b"", nested)
            assert "error" in payload_of(client.reply_to(b"deep"))
        assert memory(child) < before + 64 * MIB
        still_answers(client)


def test_requests_that_wait_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service, "MOST_BYTES_WAITING", MIB)
    go_on = threading.Event()

    class Slow(mktl.Item):
        def req_set(self, request: object) -> None:
            go_on.wait(20)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Slow, "slow", description={"type": "bulk"})

    with serving(TEMP, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        fields = {"shape": [MIB // 3], "dtype": "uint8"}
        data = bytes(MIB // 3)
        ids = [client.send_request("SET", "cryo.slow", fields, data) for _one in range(4)]
        refused = payload_of(client.reply_to(ids[-1]))["error"]
        assert refused["class"] == "Busy"
        assert "bytes of requests are waiting" in refused["text"]
        still_answers(client)
        go_on.set()
        for id_ in ids[:2]:
            assert payload_of(client.reply_to(id_)) == {"value": True}


def test_requests_that_share_a_reading_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_answers, "MOST_SHARING", 10)
    go_on = threading.Event()

    class Slow(mktl.Item):
        def req_refresh(self) -> int:
            go_on.wait(20)
            return 1

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Slow, "slow")

    with serving(TEMP, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        ids = [client.send_request("GET", "cryo.slow", {"refresh": True}) for _one in range(12)]
        assert payload_of(client.reply_to(ids[-1]))["error"]["class"] == "Busy"
        still_answers(client)
        go_on.set()
        assert payload_of(client.reply_to(ids[0]))["value"] == 1
