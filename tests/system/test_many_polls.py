"""A daemon that polls many items that share no controller."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

import mktl
from tests._support import wait_until
from tests._support.daemons import serving
from tests._support.wire import RawClient

COUNT = 300


class Once(mktl.Item):
    """Is polled so seldom that only the first time counts."""

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self.poll(3600.0)

    def req_refresh(self) -> Any:
        return 77.0


class Counted(Once):
    """Says something else each time."""

    count = 0

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self.poll(0.05)

    def req_refresh(self) -> Any:
        self.count += 1
        return self.count


class Stuck(Once):
    """Waits for the test, from its second reading on."""

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.count = 0
        self.poll(0.05)

    def req_refresh(self) -> Any:
        self.count += 1
        if self.count > 1:
            self.reached.set()
            assert self.go_on.wait(30)
        return self.count


class Many(mktl.Daemon):
    """Has some of each."""

    def setup(self) -> None:
        number = {"type": "numeric"}
        for one in range(COUNT):
            self.add_item(Once, f"once{one}", description=number)
            self.add_item(Counted, f"counted{one}", description=number)
        self.stuck = [self.add_item(Stuck, f"stuck{one}", description=number) for one in range(8)]


def test_each_is_read_soon_after_the_start_however_long_its_period_is() -> None:
    with serving(daemon_class=Many) as daemon:
        wait_until(
            lambda: all(daemon.store[f"once{one}"].timestamp is not None for one in range(COUNT))
        )
        for stuck in daemon.stuck:
            stuck.go_on.set()


def test_some_that_wait_for_ever_hold_up_none_of_the_others() -> None:
    with serving(daemon_class=Many) as daemon:
        counted = [daemon.store[f"counted{one}"] for one in range(COUNT)]
        wait_until(lambda: all(stuck.reached.is_set() for stuck in daemon.stuck))
        before = [item.count for item in counted]
        wait_until(
            lambda: all(item.count >= old + 3 for item, old in zip(counted, before, strict=True))
        )
        assert all(stuck.count == 2 for stuck in daemon.stuck)
        for stuck in daemon.stuck:
            stuck.go_on.set()


def test_all_values_of_polls_that_are_done_together_are_broadcast_in_their_order() -> None:
    with (
        serving(daemon_class=Many) as daemon,
        contextlib.closing(RawClient(*daemon.ports)) as client,
    ):
        for stuck in daemon.stuck:
            stuck.go_on.set()
        client.subscribe(b"cryo.counted7.")
        seen = [json.loads(client.next_broadcast()[2])["value"] for _ in range(5)]
        assert seen == list(range(seen[0], seen[0] + 5))
