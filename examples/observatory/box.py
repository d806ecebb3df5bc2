"""The observatory: the simulated instruments, and a process for each daemon."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import mktl
import simulators
from simulators.serve import Simulator

from .keeping import LONGEST_PAUSE_S, Keeper, Kept

__all__ = ["INTERLOCKS", "STORES", "Box", "NotReady", "alias_of", "formatted"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INTERLOCKS = "safety"
"""Store of the interlocks."""
STORES: Mapping[str, tuple[str, float]] = {
    "cryo": ("cryostat.toml", 10.0),
    "vacuum": ("vacuum.toml", 10.0),
    "filters": ("filters.toml", 1.0),
    "power": ("power.toml", 1.0),
    "dome": ("dome.toml", 20.0),
    "weather": ("weather.toml", 4.0),
}
"""By store: the instrument file, and how much faster than a real one its hardware is."""


class NotReady(Exception):
    """Something of the observatory did not start, or did not do what was waited for."""


class Box:
    """All of it, or only some stores; a context manager, or ``start`` and ``stop``.

    The instruments live in this process and not in those of their daemons (``markd --simulate``):
    as with real ones, they go on as they were when a daemon dies.

    Args:
        directory: For logs.
        environment: Of the daemons: ``MKTL_HOME`` and so on. This process needs the same, to ask.
        stores: Which ones, of :data:`STORES`; all if not given.
        registry: Whether there is one.
        say: Called with what happens, for people, also from other threads.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        stores: Collection[str] = tuple(STORES),
        registry: bool = True,
        say: Callable[[str], None] = print,
    ) -> None:
        self.stores = {name: STORES[name] for name in STORES if name in stores}
        self.twins: dict[str, Simulator] = {}
        """The simulated instruments, by name of the controller: ``tc``, ``gauges``, ``psu`` …"""
        self.links: dict[str, str] = {}
        """Full keys of the items that tell of their links, by the same names."""
        self._directory = directory
        self._environment = dict(environment)
        self._registry = registry
        self._say = say
        self._keeper: Keeper | None = None
        self._closing = ExitStack()

    @property
    def directory(self) -> Path:
        """Where the logs are."""
        return self._directory

    @property
    def environment(self) -> dict[str, str]:
        """Of the daemons, and of clients that are to find them."""
        return dict(self._environment)

    @property
    def processes(self) -> dict[str, Kept]:
        """All processes, by store; the registry is called ``registry``."""
        return {one.name: one for one in self._keeper.kept} if self._keeper else {}

    def start(self, *, timeout_s: float = 60.0) -> None:
        """Start everything; return when all daemons are on the air, and all instruments found.

        Raises:
            NotReady: that takes too long; the text says what is missing.
        """
        deadline = time.monotonic() + timeout_s
        self._keeper = Keeper(self._say)
        if self._registry:
            self._keep("registry", "markregistryd")
        for store, (file, factor) in self.stores.items():
            path = HERE / file
            urls = self._start_twins(store, path, factor)
            options = [word for name, url in urls.items() for word in ("--url", f"{name}={url}")]
            self._keep(store, "markd", str(path.relative_to(ROOT)), *options)
        self._wait_for_all(deadline)
        for key in self.links.values():
            self.wait_until(key, "Up", timeout_s=max(0.0, deadline - time.monotonic()))
        # In any order they find each other; but what begins without the others begins as tripped.
        module = str((HERE / "interlocks.py").relative_to(ROOT))
        self._keep(INTERLOCKS, "markd", INTERLOCKS, "interlocks", "-m", module)
        self._wait_for_all(deadline)

    def stop(self) -> None:
        """Stop the daemons, then the instruments. May be called twice."""
        try:
            if self._keeper is not None:
                self._keeper.stop()
        finally:
            self._closing.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # what was started is not left running
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def keep(self, name: str, *words: str) -> None:
        """Run one more daemon, that of a store *name*.

        Raises:
            NotReady: it is not on the air soon.
        """
        self._keep(name, *words)
        self._wait_for_all(time.monotonic() + 30.0)

    def kill(self, name: str, *, gently: bool = False) -> None:
        """Kill a process, with -9 unless *gently*; return when it runs again.

        Raises:
            NotReady: it does not.
        """
        one = self.processes[name]
        lives, deadline = one.lives, time.monotonic() + LONGEST_PAUSE_S + 10
        if gently:
            one.restart()
        else:
            one.send(signal.SIGKILL)
        while one.lives == lives:
            if time.monotonic() > deadline:
                raise NotReady(f"{name} was killed, and is not started again")
            time.sleep(0.05)

    def restart(self, name: str) -> None:
        """Kill a daemon, and wait until its successor answers.

        Raises:
            NotReady: it does not.
        """
        self.kill(name)
        process = self.processes[name].process
        if process is None:
            raise NotReady(f"{name} has ended again; see {self.processes[name].log}")
        self.wait_until(f"{name}._{alias_of(name)}pid", str(process.pid))

    def wait_until(self, full_key: str, text: str, *, timeout_s: float = 30.0) -> None:
        """Wait until an item says *text*.

        Raises:
            NotReady: it does not.
        """
        deadline = time.monotonic() + timeout_s
        while (found := formatted(full_key)) != text:
            if time.monotonic() > deadline:
                raise NotReady(f"{full_key} is {found!r}, not {text!r}, after {timeout_s:g} s")
            time.sleep(0.05)

    def wait_for(self, twin: str, quantity: str, value: float, *, timeout_s: float = 30.0) -> None:
        """Wait until a quantity of a simulated instrument, by name of the controller, is *value*.

        Raises:
            NotReady: it is not.
        """
        deadline = time.monotonic() + timeout_s
        while (found := self.twins[twin].get(quantity)[quantity]) != value:
            if time.monotonic() > deadline:
                raise NotReady(f"{quantity} of {twin} is {found}, not {value}")
            time.sleep(0.05)

    def control_of(self, controller: str) -> str:
        """Return ``HOST:PORT`` for ``marksim ctl``."""
        return "{}:{}".format(*self.twins[controller].control_address)

    def _start_twins(self, store: str, path: Path, factor: float) -> dict[str, str]:
        urls = {}
        for line in simulators.twins_of_file(path).served(time_factor=factor):
            self._closing.callback(line.simulator.close)
            line.simulator.start()
            for name in line.units:
                self.twins[name] = line.simulator
                self.links[name] = f"{store}.{name}_link"
                urls[name] = line.url_of(name)
        return urls

    def _keep(self, name: str, *words: str) -> None:
        log = self._directory / f"{name}.log"
        assert self._keeper is not None
        self._keeper.add(Kept(name, words, log, self._environment, ROOT))

    def _wait_for_all(self, deadline: float) -> None:
        for one in self.processes.values():
            while "on the air" not in one.log.read_text(errors="replace"):
                if one.deaths or time.monotonic() > deadline:
                    raise NotReady(f"{one.name} is not on the air:\n{one.log.read_text()}")
                time.sleep(0.05)


def alias_of(name: str) -> str:
    """Return the alias of the daemon of a store."""
    return "interlocks" if name == INTERLOCKS else "hw"


def formatted(full_key: str) -> str:
    """Return the value of an item as people read it; nothing if nobody knows it."""
    try:
        return str(mktl.get(full_key).formatted)
    except mktl.MktlError:
        return ""
