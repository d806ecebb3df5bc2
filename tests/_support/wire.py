"""Both ends of the wire without any code of ours: what a peer written by somebody else does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zmq

from tests._support.waiting import WAIT_S

__all__ = ["FakeDaemon", "RawClient", "frame", "from_recording", "load", "payload_of"]

RECORDINGS = Path(__file__).resolve().parents[1] / "wire"


def load(name: str) -> list[dict[str, Any]]:
    """Return one of the recordings."""
    recording: list[dict[str, Any]] = json.loads((RECORDINGS / name).read_text())
    return recording


def frame(recorded: str | dict[str, str]) -> bytes:
    """Return the bytes of a recorded frame: text, or ``{"hex": ...}``."""
    return recorded.encode() if isinstance(recorded, str) else bytes.fromhex(recorded["hex"])


def from_recording(frames: list[Any]) -> list[bytes]:
    """Return the bytes of recorded frames."""
    return [frame(one) for one in frames]


def payload_of(frames: list[bytes]) -> dict[str, Any]:
    """Return the payload of a response."""
    return json.loads(frames[5]) if frames[5] else {}


class RawClient:
    """A DEALER and a SUB socket, and nothing else."""

    def __init__(self, request_port: int, publish_port: int | None = None) -> None:
        self.context = zmq.Context()
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.linger = 0
        self.dealer.connect(f"tcp://127.0.0.1:{request_port}")
        self.subscriber: zmq.Socket[bytes] | None = None
        if publish_port is not None:
            self.subscriber = self.context.socket(zmq.SUB)
            self.subscriber.linger = 0
            self.subscriber.connect(f"tcp://127.0.0.1:{publish_port}")
        self._count = 0

    def close(self) -> None:
        self.context.destroy(linger=0)

    def send(self, *frames: bytes) -> None:
        self.dealer.send_multipart(frames)

    def receive(self, timeout_s: float = WAIT_S) -> list[bytes] | None:
        """Return the next response; ``None`` if there is none in time."""
        if not self.dealer.poll(1000 * timeout_s):
            return None
        return self.dealer.recv_multipart()

    def send_request(
        self, kind: str, target: str, payload: object = None, bulk: bytes | None = None
    ) -> bytes:
        """Send a request and return its id."""
        self._count += 1
        id_ = b"raw%d" % self._count
        encoded = b"" if payload is None else json.dumps(payload).encode()
        frames = [b"a", id_, kind.encode(), target.encode(), b"", encoded]
        self.send(*frames, *([] if bulk is None else [bulk]))
        return id_

    def ask(
        self, kind: str, target: str, payload: object = None, bulk: bytes | None = None
    ) -> list[bytes]:
        """Send a request and return its REP, whatever else arrives on the way."""
        id_ = self.send_request(kind, target, payload, bulk)
        return self.reply_to(id_)

    def reply_to(self, id_: bytes, timeout_s: float = WAIT_S) -> list[bytes]:
        """Return the REP to the request *id_*."""
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            frames = self.receive(remaining)
            if frames is not None and frames[1] == id_ and frames[2] == b"REP":
                return frames
        raise AssertionError(f"no reply to {id_!r} within {timeout_s:g} s")

    def get(self, target: str, **payload: Any) -> Any:
        """Return the payload of the answer to a GET."""
        return payload_of(self.ask("GET", target, payload or None))

    def set(self, target: str, value: Any) -> dict[str, Any]:
        """Return the payload of the answer to a SET."""
        return payload_of(self.ask("SET", target, {"value": value}))

    def subscribe(self, topic: bytes, ping: Callable[[], object] | None = None) -> None:
        """Subscribe, and return when the subscription is in force.

        By default our daemons' own confirmation tells; otherwise *ping* has to cause broadcasts.
        """
        assert self.subscriber is not None
        self.subscriber.subscribe(topic)
        if ping is None:
            self._count += 1
            confirmation = b"sync:raw-%d-%d." % (id(self), self._count)
            self.subscriber.subscribe(confirmation)
            while True:
                frames = self.next_broadcast()
                if frames[0] == confirmation:
                    return
        for _attempt in range(500):
            ping()
            if self.subscriber.poll(20):
                return

    def next_broadcast(self, timeout_s: float = WAIT_S) -> list[bytes]:
        assert self.subscriber is not None
        if not self.subscriber.poll(1000 * timeout_s):
            raise AssertionError(f"no broadcast within {timeout_s:g} s")
        return self.subscriber.recv_multipart()

    def broadcasts_until(self, topic: bytes, value: object) -> Iterator[list[bytes]]:
        """Yield broadcasts up to the one of *value* on *topic*, which is not among them."""
        while True:
            frames = self.next_broadcast()
            if frames[0] == topic and json.loads(frames[2]).get("value") == value:
                return
            yield frames


class FakeDaemon:
    """A ROUTER and a PUB socket that answer as the reference daemon does, and no thread of ours.

    Args:
        items: Descriptions by key.
        values: Present values by key, as payloads.
    """

    UUID = "141a280c-2d6a-4c2e-852b-b902e0ae9be4"

    def __init__(self, store: str, items: dict[str, Any], values: dict[str, Any]) -> None:
        import threading

        self.store, self.items, self.values = store, dict(items), dict(values)
        self.bulk: dict[str, bytes] = {}
        self.requests: list[list[bytes]] = []
        self.subscriptions: list[bytes] = []
        self.respond: Callable[[list[bytes]], list[list[bytes]] | None] = lambda _request: None
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.publisher = self.context.socket(zmq.XPUB)
        self._pair, self._control = (self.context.socket(zmq.PAIR) for _ in range(2))
        self._pair.bind(f"inproc://{id(self)}")
        self._control.connect(f"inproc://{id(self)}")
        self.rep = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.pub = self.publisher.bind_to_random_port("tcp://127.0.0.1")
        self._thread = threading.Thread(target=self._run, name="fake-daemon")
        self._thread.start()

    def close(self) -> None:
        """End it. May be called twice."""
        if self.context.closed:
            return
        self._control.send(b"end")
        self._thread.join()
        self.context.destroy(linger=0)

    @property
    def block(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "alias": "fake",
            "uuid": self.UUID,
            "time": 1795469673.5982723,
            "hash": 212336995245757825388917058820320412336,
            "items": self.items,
            "provenance": [
                {"stratum": 0, "hostname": "127.0.0.1", "rep": self.rep, "pub": self.pub}
            ],
        }

    def publish(self, *frames: bytes) -> None:
        """Broadcast; from any one thread at a time."""
        self._control.send_multipart([b"publish", *frames])

    def targets(self, kind: bytes = b"") -> list[str]:
        """Return what was asked for so far."""
        return [one[3].decode() for one in self.requests if kind in ("", b"", one[2])]

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (self.router, self.publisher, self._pair):
            poller.register(socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._pair in ready:
                command, *frames = self._pair.recv_multipart()
                if command == b"end":
                    return
                self.publisher.send_multipart(frames)
            if self.publisher in ready:
                self.subscriptions.append(self.publisher.recv())
            if self.router in ready:
                peer, *request = self.router.recv_multipart()
                self.requests.append(request)
                for response in self._responses(request):
                    self.router.send_multipart([peer, *response])

    def _responses(self, request: list[bytes]) -> list[list[bytes]]:
        own = self.respond(request)
        if own is not None:
            return own
        _version, id_, kind, target, flags, payload, *bulk = request
        responses = []
        if not flags:
            responses.append([b"a", id_, b"ACK", b"", b"", b""])
        answer, data = self._answer(kind, target.decode(), json.loads(payload or b"{}"), bulk)
        rep = [b"a", id_, b"REP", target, b"", json.dumps(answer).encode()]
        if flags != b"\x03":
            responses.append(rep if data is None else [*rep, data])
        return responses

    def _answer(
        self, kind: bytes, target: str, payload: dict[str, Any], bulk: list[bytes]
    ) -> tuple[dict[str, Any], bytes | None]:
        if target in ("_hash", f"{self.store}._hash"):
            return {"value": {self.store: {self.UUID: self.block["hash"]}}}, None
        if target == f"{self.store}._catalog":
            return {"value": {self.UUID: self.block}}, None
        key = target.partition(".")[2]
        if key not in self.items:
            text = f"\"this daemon does not contain '{key}'\""
            return {"error": {"type": "KeyError", "text": text, "debug": "(traceback)"}}, None
        if kind == b"GET":
            return self.values[key], self.bulk.get(key)
        fresh = {name: payload[name] for name in ("value", "shape", "dtype") if name in payload}
        self.values[key] = {**fresh, "time": time.time()}
        if bulk:
            self.bulk[key] = bulk[0]
        frames = [f"{target}.".encode(), b"a", json.dumps(self.values[key]).encode(), *bulk]
        self.publisher.send_multipart(frames)
        return {"value": True}, None
