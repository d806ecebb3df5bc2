"""A loop that is taken over while it does what requests have left is one thread's alone."""

from __future__ import annotations

import threading

import zmq

from mktl.protocol.message import GET
from mktl.transport.client import RequestClient
from mktl.transport.server import RequestServer, Responder
from tests._support import wait_until


def bind(socket: zmq.Socket[bytes]) -> int:
    return socket.bind_to_random_port("tcp://127.0.0.1")


class HeldUp:
    """What is left once, found before a wait, and lasts until it is told to end."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.looks = 0

    def answer(self, responder: Responder) -> None:
        self.looks = 0
        if not responder.work(lambda: responder.reply(b"{}"), bool):
            responder.reply(b"{}")

    @property
    def waits(self) -> bool:
        self.looks += 1
        return self.looks > 1 and not self.begun.is_set()  # the first is right after a request

    def do_here(self) -> None:
        self.begun.set()
        assert self.may_end.wait(60)

    def hand_over(self) -> None:
        """Leave it for the next time: nobody could take over yet."""


def test_who_is_held_up_by_what_requests_have_left_leaves_the_loop_to_the_other() -> None:
    batch = HeldUp()
    server = RequestServer(bind, batch.answer, "held", batch=batch)
    server.start()
    client = RequestClient("127.0.0.1", server.port)
    try:
        client.request(GET, "a.b").wait(60)
        while not batch.begun.wait(0.01):  # until somebody is ready to take over
            server._socket.wake()
        client.request(GET, "a.b").wait(60)  # the other one has taken over
        first, second = server.relay.threads
        wait_until(lambda: batch.looks > 1)  # and waits
        batch.may_end.set()
        wait_until(lambda: server.relay._is_ready or not first.is_alive())
        assert first.is_alive() and second.is_alive()
        client.request(GET, "a.b").wait(60)
    finally:
        client.close()
        server.stop()
        server.close()
