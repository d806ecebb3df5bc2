"""The authority for the items of one block."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _process, announcing
from ._authority import Authority
from ._blocks import BlockPoll
from ._builtin import add_builtin_items, builtin_descriptions, described_by_class
from ._controllers import ControllerItems
from ._identity import Place, read_items
from ._protection import Protection
from ._rivals import RivalSearch
from ._service import Service
from ._sockets import open_sockets
from .catalog import Block, Origin, hash_items
from .config import daemon_discovery_port, home
from .controllers import ControllerLike
from .description import Description
from .errors import BadItemDescription, ConfigurationError, NotSupported
from .item import Item
from .lanes import Lanes
from .persistence import PersistentValues
from .protocol.names import fold
from .scheduler import Scheduler
from .store import Store
from .transport.beacon import Beacon
from .transport.hosts import hostname

if TYPE_CHECKING:
    from .transport.server import RequestServer

__all__ = ["Daemon"]

_log = logging.getLogger(__name__)

STOP_S = 1.0
"""How long work that was begun may take to end when the daemon is stopped."""


class Daemon:
    """The authority for the items of one block. Subclass it, and override :meth:`setup`.

    Making one starts it: when the constructor returns, the daemon is on the air. The order is
    :meth:`parse_options`, :meth:`describe_items`, ports, :meth:`setup`, an ordinary item for each
    description that :meth:`setup` left without one, initial values, persistent values,
    :meth:`setup_final`, and then it announces itself.

    Args:
        store: The store that the items belong to.
        alias: The name of this daemon within the store.
        override: Ask registries to forget a daemon that is in the way and no longer answers.
        options: Whatever :meth:`parse_options` understands. If it has an attribute ``catalog``,
            that is a JSON file of item descriptions, to be used now and at later starts.

    Attributes:
        store: The store, with the items of this daemon and of others.
        name: ``store.alias``.
        options: As given.

    Raises:
        AlreadyRunning: another process runs this daemon.
        CatalogConflict: another daemon holds one of its keys, or its alias.
        ConfigurationError: the descriptions of its items cannot be used.
    """

    def __init__(self, store: str, alias: str, override: bool = False, options: Any = None) -> None:
        self.alias = fold(alias, "alias")
        self.store = Store(fold(store, "store"), self)
        self.name = f"{self.store.name}.{self.alias}"
        self.override = override
        self.options = options
        self._ending = threading.Lock()
        self._stopped = threading.Event()
        self._stop_asked = threading.Event()
        self._descriptions: dict[str, Description] = {}
        self._service = Service(self.store.name, self.name, self._current_block)
        self._controllers = ControllerItems(self)
        self._server: RequestServer | None = None
        self._beacon: Beacon | None = None
        self._announcer: announcing.Announcer | None = None
        self._block: Block | None = None
        self._was_set_up = False
        self._on_the_air = False
        self._hostname = hostname()
        self._place = Place(self.store.name, self.alias)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.parse_options(self.options)
        self._place.take()
        _process.current().stores.setdefault(self.store.name, self.store)
        self._describe()
        self._bind()
        self._was_set_up = True
        self.setup()
        for key in list(self._descriptions):
            if key not in self._service.authorities:
                self.add_item(Item, key)
        self._settle_descriptions()
        self._open_persistent_values()
        self._service.restore()
        self.setup_final()
        self._go_on_the_air()

    # For authors to override.

    def parse_options(self, options: Any) -> None:
        """Take in *options*, before anything else is done. The default ignores them."""

    def describe_items(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the descriptions of items by key.

        They are added to those of the daemon's catalog file, and count more than it.
        """
        return {}

    def describe_access(self) -> Mapping[str, Any]:
        """Return who may do what, as ``[access]`` of a file does; by default, all may all."""
        return {}

    def setup(self) -> None:
        """Make controllers and items: call :meth:`add_controller` and :meth:`add_item`."""

    def setup_final(self) -> None:
        """Do what needs all items and their values, before the daemon goes on the air."""

    def cleanup(self) -> None:
        """Give back what :meth:`setup` took. Called exactly once, if :meth:`setup` was."""

    # For authors to call.

    def add_item(
        self,
        item_class: type[Item],
        key: str,
        *args: Any,
        description: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Item:
        """Make ``item_class(store, key, *args, **kwargs)`` an item of this daemon.

        Args:
            item_class: :class:`mktl.Item` or a subclass.
            key: Its key in the store.
            args: Handed on to the class.
            description: Its description; fields given here count more than those known before.
            kwargs: Handed on to the class.

        Raises:
            BadItemDescription: the description cannot be used.
            NotSupported: there is such an item already, or the daemon is on the air: what it
                has told clients and registries would no longer be true.
        """
        self._check_not_on_the_air()
        key = fold(key, "key")
        known = self._descriptions.get(key)
        if known is None or description is not None:
            fields = {} if known is None else known.to_json()
            fields.update(description or described_by_class(item_class))
            self._descriptions[key] = Description.from_json(key, fields)
        self._block = None
        return item_class(self.store, key, *args, **kwargs)

    def add_controller(self, name: str, controller: ControllerLike) -> ControllerLike:
        """Use *controller*: it begins to connect, and ``NAME_link`` and others tell how it is.

        Items whose ``controller`` it is are polled in one lane, are marked invalid while it
        cannot be reached, and are refreshed when it returns. It is closed with the daemon.

        Args:
            name: Prefix of the items about it.
            controller: What satisfies :class:`mktl.controllers.ControllerLike`.

        Returns:
            *controller*.

        Raises:
            NotSupported: the daemon is on the air.
        """
        self._check_not_on_the_air()
        self._controllers.add(fold(name, "name of a controller"), controller)
        return controller

    def poll_together(
        self, items: Sequence[Item], period: float, read: Callable[[], Sequence[Any]]
    ) -> None:
        """Have *read* called every *period* seconds, and publish what it returns for *items*.

        Args:
            items: What one exchange with the hardware reads; of one controller.
            period: Seconds.
            read: Returns what ``req_refresh`` of each item would, or an exception in its place.

        Raises:
            BadValue: the period is not positive, or there are no items.
        """
        authorities = [self._service.authorities[item.key] for item in items]
        BlockPoll(authorities, period, read, self._service)

    def stop(self) -> None:
        """Finish what was begun, say goodbye, and close everything. May be called twice."""
        self._stop_asked.set()
        if not self._ending.acquire(blocking=False):
            self._stopped.wait()
            return
        try:
            self._end()
        finally:
            self._stopped.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the daemon was stopped; return whether it was within *timeout* seconds."""
        return self._stopped.wait(timeout)

    # For the machinery.

    @property
    def lanes(self) -> Lanes:
        """The threads of this daemon."""
        return self._service.lanes

    @property
    def scheduler(self) -> Scheduler:
        """The clock of this daemon's polls."""
        return self._service.scheduler

    @property
    def items(self) -> list[Item]:
        """The items of this daemon."""
        return [authority.item for authority in self._service.authorities.values()]

    @property
    def authorities(self) -> list[Authority]:
        """What this daemon knows of each of its items."""
        return list(self._service.authorities.values())

    @property
    def ports(self) -> tuple[int, int]:
        """TCP ports for requests and for broadcasts."""
        assert self._server is not None
        assert self._service.publisher is not None
        return self._server.port, self._service.publisher.port

    @property
    def block(self) -> Block:
        """What this daemon says about itself."""
        return self._current_block()

    @property
    def uuid(self) -> str:
        """The identity of this daemon, kept across restarts."""
        return self._place.uuid

    def holds(self, key: str) -> bool:
        """Return whether *key* is an item of this daemon."""
        return key in self._descriptions

    def authority(self, item: Item) -> Authority:
        """Take in *item*, one of this daemon's."""
        authority = Authority(item, self._descriptions[item.key], self._service)
        self._service.authorities[item.key] = authority
        return authority

    def _check_not_on_the_air(self) -> None:
        if self._on_the_air:
            raise NotSupported(f"{self.name} is on the air: add items and controllers in setup()")

    def _describe(self) -> None:
        catalog = getattr(self.options, "catalog", None)
        if catalog is not None:
            self._place.replace_items(read_items(Path(catalog)))
        fields = {key: dict(known) for key, known in self._place.load_items().items()}
        for key, given in self.describe_items().items():
            folded = fold(key, "key")
            fields[folded] = {**fields.get(folded, {}), **given}
        problems = []
        for key, description in fields.items():
            try:
                self._descriptions[key] = Description.from_json(key, description)
            except BadItemDescription as error:
                problems.append(str(error))
        if problems:
            raise ConfigurationError("; ".join(problems))
        for key, builtin in builtin_descriptions(self.alias, self.uuid).items():
            self._descriptions[key] = Description.from_json(key, builtin)
        add_builtin_items(self)

    def _bind(self) -> None:
        authorities = self._service.authorities
        protection = Protection(self.store.name, self.describe_access(), authorities.keys)
        self._server = open_sockets(self._service, self.uuid, protection)

    def _settle_descriptions(self) -> None:
        """A SET of something that is only read would show a value that the hardware never had."""
        for key, authority in self._service.authorities.items():
            self._descriptions[key] = authority.settle_description()

    def _open_persistent_values(self) -> None:
        persist = home() / "daemon" / "persist"
        self._service.persistent = PersistentValues(
            persist / f"{self.uuid}.sqlite", persist / self.uuid
        )
        if self._place.forgotten:
            self._service.persistent.doubt_all(self._place.forgotten)

    def _current_block(self) -> Block:
        if self._block is None:
            own = builtin_descriptions(self.alias, self.uuid)
            order = sorted(self._descriptions, key=own.__contains__)
            items = {key: self._descriptions[key].to_json() for key in order}
            request_port, publish_port = self.ports
            self._block = Block(
                store=self.store.name,
                alias=self.alias,
                uuid=self.uuid,
                time=self._place.time_of(hash_ := hash_items(items)),
                hash=hash_,
                items=items,
                provenance=(
                    Origin(0, self._hostname, request_port, publish_port, self._service.public_key),
                ),
            )
        return self._block

    def _go_on_the_air(self) -> None:
        assert self._server is not None
        self._announcer = announcing.Announcer(self.block, override=self.override)
        rivals = RivalSearch(self.block)
        self._announcer.announce_first()
        rivals.check()
        self._on_the_air = True
        self._server.start()
        self._service.scheduler.start()
        self._controllers.start()
        self._beacon = Beacon(
            daemon_discovery_port(), self._server.port, shared=True, name=self.name
        )
        self._announcer.start()
        self._place.note_address(self._hostname, self._server.port)
        request_port, publish_port = self.ports
        _log.info(
            "%s is on the air: %d items, requests on port %d, broadcasts on port %d",
            self.name,
            len(self._service.authorities),
            request_port,
            publish_port,
        )

    def _end(self) -> None:
        """Stop taking requests, finish, then close everything, whatever fails on the way."""
        steps: list[Callable[[], Any]] = []
        if self._beacon is not None:
            steps.append(self._beacon.close)
        if self._announcer is not None:
            steps.append(self._announcer.close)
        steps.append(self._service.scheduler.stop)
        if self._server is not None:
            steps.append(self._server.stop)
        steps += [self._drain]
        if self._was_set_up:
            steps.append(self.cleanup)
        steps += [self._controllers.close, self._finish, self._leave_process, self._service.close]
        if self._server is not None:
            steps.append(self._server.close)
        steps.append(self._place.leave)
        for step in steps:
            try:
                step()
            except Exception:  # the next step is as necessary
                _log.exception("%s: a step of stopping failed", self.name)
        if self._was_set_up:
            _log.info("%s has stopped", self.name)

    def _drain(self) -> None:
        deadline = time.monotonic() + STOP_S
        while self._service.waiting() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _leave_process(self) -> None:
        stores = _process.current().stores
        if stores.get(self.store.name) is self.store:
            del stores[self.store.name]
        self.store.close()

    def _finish(self) -> None:
        # With the controllers closed, whatever waited for hardware has ended by now.
        if not self._service.close_lanes(timeout_s=0.5):
            _log.warning("%s: some work did not end and is abandoned", self.name)
