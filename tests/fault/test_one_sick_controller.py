"""What waits for a controller that never answers takes nothing from the items of another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import mktl
from mktl import config
from mktl.controllers import ControllerStatus, TurnKind
from tests._support import wait_until
from tests._support.daemons import client_of, serving

ITEMS = 200
"""More than a daemon has threads."""


class Stuck:
    """A controller that is up, and answers nothing before it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answers = threading.Event()

    def start(self) -> None:
        pass

    def close(self) -> None:
        self.answers.set()

    def status(self) -> ControllerStatus:
        return ControllerStatus("Up", "", 0, None, 0.0)

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        pass

    @contextlib.contextmanager
    def prioritised(self, kind: TurnKind) -> Iterator[None]:
        yield

    def raw(self, text: str) -> str:
        return text

    def read(self) -> int:
        self.asked.release()
        assert self.answers.wait(50)
        return 1


def test_refreshes_that_wait_for_one_controller_hold_up_nobody_else() -> None:
    stuck = Stuck()

    class Reading(mktl.Item):
        controller = stuck

        def req_refresh(self) -> int:
            return stuck.read()

    class Healthy(mktl.Item):
        def __init__(self, store: mktl.Store, key: str) -> None:
            super().__init__(store, key)
            self.count = 0
            self.poll(0.05)

        def req_refresh(self) -> int:
            self.count += 1
            return self.count

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_controller("tc", stuck)
            for number in range(ITEMS):
                self.add_item(Reading, f"t{number}")
            self.add_item(Healthy, "healthy")

    with (
        serving({"plain": {}}, daemon_class=Daemon) as daemon,
        client_of(daemon) as store,
    ):
        asked = [store._peer(f"t{n}").ask(f"cryo.t{n}", refresh=True) for n in range(ITEMS)]
        for reply in asked:
            reply.wait_acknowledged()
        assert stuck.asked.acquire(timeout=20)
        store["plain"].set(5, timeout=20)
        before = store["healthy"].get(refresh=True, timeout=20)
        wait_until(
            lambda: store["healthy"].get(refresh=True, timeout=20) > before + 5,
            what="the polls of the healthy item to go on",
        )
        stuck.answers.set()
        for reply in asked:
            assert reply.wait(30).payload["value"] == 1


def test_subscribing_to_what_is_never_answered_ends() -> None:
    stuck = Stuck()

    class Reading(mktl.Item):
        controller = stuck

        def req_refresh(self) -> int:
            return stuck.read()

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_controller("tc", stuck)
            self.add_item(Reading, "temp", description={"initial": 3})

    with serving(daemon_class=Daemon) as daemon, client_of(daemon) as store:
        config.set_answer_timeout_s(0.3)
        try:
            store["temp"].subscribe()
            assert store["temp"].value == 3
            assert store["temp"].quality == "invalid"
        finally:
            config.set_answer_timeout_s(None)
            stuck.answers.set()
