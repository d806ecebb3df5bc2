"""Broadcasts that are sent together, over real sockets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import zmq

from mktl.protocol.message import SYNC_TOPIC
from mktl.transport.publisher import Publisher
from tests._support import wait_until

TOPIC = b"cryo.temp."


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with contextlib.closing(
        Publisher(lambda socket: socket.bind_to_random_port("tcp://127.0.0.1"))
    ) as made:
        yield made


@pytest.fixture
def subscriber(publisher: Publisher) -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.connect(f"tcp://127.0.0.1:{publisher.port}")
    yield socket
    context.destroy(linger=0)


def test_who_subscribes_while_values_are_sent_together_is_answered_after_them(
    publisher: Publisher, subscriber: zmq.Socket[bytes]
) -> None:
    asked = SYNC_TOPIC + b"me."
    subscriber.subscribe(asked)

    def published() -> bool:
        with publisher.together():
            publisher.publish(TOPIC, b"{}")
        return bool(subscriber.poll(10))

    wait_until(published, what="the answer to the subscription")
    assert subscriber.recv_multipart()[0] == asked


def test_values_that_are_sent_together_arrive_all_and_in_order(
    publisher: Publisher, subscriber: zmq.Socket[bytes]
) -> None:
    subscriber.subscribe(TOPIC)

    def arrived() -> bool:
        publisher.publish(TOPIC, b"first")
        return bool(subscriber.poll(10))

    wait_until(arrived, what="the subscription to be in force")
    with publisher.together():
        for number in range(1000):
            publisher.publish(TOPIC, b"%d" % number)
    found = []
    while not found or found[-1] != b"999":
        assert subscriber.poll(10_000)
        found.append(subscriber.recv_multipart()[2])
    assert [one for one in found if one != b"first"] == [b"%d" % n for n in range(1000)]
