"""Whoever answers a call under ever more addresses costs neither descriptors nor memory."""

from __future__ import annotations

import gc
import socket
import threading

import pytest

from mktl import directory
from mktl.errors import NoAnswer
from mktl.protocol import discovery
from mktl.protocol.message import GET
from mktl.transport import beacon, many
from mktl.transport.client import RequestClient
from tests._support import free_udp_port
from tests._support.daemons import serving


def test_a_call_finds_no_more_addresses_than_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacon, "MOST_ANSWERS", 50)
    port = free_udp_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("", port))
        liar.settimeout(10)

        def answer() -> None:
            _datagram, caller = liar.recvfrom(100)
            for number in range(1, 200):
                liar.sendto(discovery.answer(number), caller)

        thread = threading.Thread(target=answer)
        thread.start()
        found = beacon.call(port, wait_s=30)
        thread.join()
    assert len(found) == 50


def open_clients() -> int:
    clients = (one for one in gc.get_objects() if type(one) is RequestClient)
    return sum(not client._closed for client in clients)


def test_many_addresses_are_asked_with_few_connections_and_the_right_one_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(many, "_MOST_AT_ONCE", 8)
    with serving({"temp": {"initial": 1}}) as daemon:
        # Nobody listens on these; the daemon comes last.
        addresses = [("127.0.0.1", number) for number in range(1, 80)]
        addresses.append(("127.0.0.1", daemon.ports[0]))
        most = [0]

        def patience_s(address: many.Address) -> float:
            if address[1] % 16 == 0:
                most[0] = max(most[0], open_clients())
            return 0.05 if address != addresses[-1] else 10.0

        outcomes = many.ask_all(
            addresses, GET, "cryo._hash", patience_s=patience_s, reply_timeout_s=10
        )
        assert list(outcomes) == addresses
        assert all(isinstance(outcomes[address], NoAnswer) for address in addresses[:-1])
        assert not isinstance(outcomes[addresses[-1]], Exception)
        assert most[0] < 8  # and the one that is just made
        assert directory.ask(addresses[-1:], "_hash", timeout_s=10).values


def test_who_is_told_to_stop_asks_nobody_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_MOST_AT_ONCE", 8)
    stopping = threading.Event()
    stopping.set()
    addresses = [("127.0.0.1", number) for number in range(1, 400)]
    outcomes = many.ask_all(
        addresses, GET, "_hash", patience_s=lambda _: 30.0, reply_timeout_s=30, stopping=stopping
    )
    assert len(outcomes) == 399
    assert all(isinstance(outcome, Exception) for outcome in outcomes.values())
