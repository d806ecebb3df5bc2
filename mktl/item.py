"""One named value: got, set and subscribed to by clients, and brought to life by a daemon."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

from ._reference_names import ReferenceNames
from .arithmetic import ActsAsValue
from .callbacks import Callback, Callbacks
from .errors import BadUnits
from .payload import Payload
from .protocol.names import fold, join
from .requests import ItemRequest, PendingSet

if TYPE_CHECKING:
    from .description import Description
    from .store import Store

__all__ = ["Item"]


class Item(ReferenceNames, ActsAsValue):
    """One named value, with its type, units, limits and time.

    A client gets its items from :func:`mktl.get`. The author of a daemon subclasses this and
    overrides :meth:`req_refresh` to read, :meth:`req_set` to write and :meth:`validate` to refuse;
    an item that nobody subclassed keeps what it is set to.

    An item compares, adds and formats as its value: ``item > 80``, ``item += 1``,
    ``f"{item:.1f}"``.

    Args:
        store: The store that it belongs to.
        key: Its key there.

    Attributes:
        store: The store that it belongs to.
        key: Its key, folded to lower case.
        full_key: ``store.key``.
        controller: What it speaks to the hardware through, if anything. A daemon polls all items
            of a controller in one lane, and marks them invalid while it cannot be reached.
        polled_apart: Whether its polls are not in that lane but beside it, as they take long
            without keeping the controller from the others.
        urgent: Whether its SETs go on though as many as can be are under way at its controller:
            those that stop something.
        set_order: SETs of all items of a daemon that have the same one are carried out in the order
            in which they came, as those of one item always are; ``None``: only its own.
    """

    controller: Any = None
    polled_apart: bool = False
    urgent: bool = False
    set_order: Hashable = None

    def __init__(self, store: Store, key: str, **_reference_options: Any) -> None:
        self.store = store
        self.key = fold(key, "key")
        self.full_key = join(store.name, self.key)
        self._callbacks = Callbacks(self, store.lanes)
        self._source = store.adopt(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.full_key}: {self._source.payload!r}>"

    # What everybody uses.

    @property
    def description(self) -> Description:
        """What is known about the item: type, units, format, range and so on."""
        return self._source.description

    @property
    def authoritative(self) -> bool:
        """Whether this process is the daemon that holds the item."""
        return self._source.authoritative

    @property
    def value(self) -> Any:
        """The value as it is stored. A client is subscribed by the first use of it."""
        return self.get()

    @value.setter
    def value(self, value: Any) -> None:
        self.set(value)

    @property
    def formatted(self) -> str:
        """The value as people read it: by its format, in the units that are shown."""
        return str(self.get(formatted=True))

    @formatted.setter
    def formatted(self, text: str) -> None:
        self.set(text, formatted=True)

    @property
    def quantity(self) -> Any:
        """The value with its units, as a pint ``Quantity``."""
        return self.get(quantity=True)

    @quantity.setter
    def quantity(self, quantity: Any) -> None:
        self.set(quantity, quantity=True)

    @property
    def timestamp(self) -> float | None:
        """UNIX seconds at which the item took its value; ``None`` if it never had one."""
        return self._source.current().time

    @property
    def quality(self) -> str:
        """How good the value is: ``valid``, ``changing``, ``warning``, ``alarm`` or ``invalid``.

        That is also what it is, at once, while the daemon is not heard: nobody is asked then.
        """
        return self._source.current().quality

    @property
    def reason(self) -> str | None:
        """Why the quality is not ``valid``, in one line."""
        return self._source.current().reason

    @property
    def checked(self) -> float | None:
        """UNIX seconds at which the hardware last confirmed the value, where that is known."""
        return self._source.current().checked

    @property
    def units(self) -> str | None:
        """The units of :attr:`value`; ``None`` if it has none."""
        return self.description.stored_units or None

    def get(
        self,
        refresh: bool = False,
        formatted: bool = False,
        quantity: bool = False,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Return the value.

        Args:
            refresh: Ask the hardware now, rather than take the value that was last published.
            formatted: Return the text that people read.
            quantity: Return a pint ``Quantity``.
            timeout: Longest wait in seconds, once the daemon has acknowledged that it works on it.

        Raises:
            NotSupported: the item cannot be read.
            NoAnswer: its daemon does not answer.
            MktlError: whatever the daemon reports; with *refresh*, why the hardware was not read.
        """
        return self._present(
            self._source.get(refresh=refresh, timeout=timeout), formatted, quantity
        )

    def _present(self, payload: Payload, formatted: bool, quantity: bool) -> Any:
        if formatted:
            return self.description.to_text(payload.value)
        if not quantity:
            return payload.value
        from . import units

        return units.quantity(payload.value, self._needed_units())

    def _needed_units(self) -> str:
        stored = self.description.stored_units
        if not stored:
            raise BadUnits(f"{self.full_key} has no units")
        return stored

    def set(
        self,
        new_value: Any,
        wait: bool = True,
        formatted: bool = False,
        quantity: bool = False,
        *,
        timeout: float | None = None,
        reply: bool = True,
    ) -> PendingSet | None:
        """Set the value, and return when the daemon has done it.

        Args:
            new_value: The value as it is stored.
            wait: If false, return at once a pending request with ``poll()`` and ``wait(timeout)``.
            formatted: *new_value* is text as people write it.
            quantity: *new_value* is a pint ``Quantity`` in any units that fit.
            timeout: Longest wait in seconds, once the daemon has acknowledged that it works on it.
            reply: If false, ask for no answer of any kind: fire and forget.

        Raises:
            NotSupported: the item cannot be set.
            BadValue: the value is not allowed, and nothing was done. Also a ``ValueError``.
            UnknownKey: there is no such enumerator. Also a ``KeyError``.
            NoAnswer: its daemon does not answer; nothing was done unless the message says so.
            ConnectionLost: the connection broke; whether it was done is not known.
            MktlError: whatever else the daemon reports.
        """
        if formatted:
            new_value = self.description.from_text(new_value)
        elif quantity:
            from . import units

            new_value = units.magnitude(new_value, self._needed_units())
        pending = self._source.set(new_value, reply=reply)
        if pending is None or not wait:
            return pending
        pending.wait(timeout)
        return None

    @property
    def live(self) -> bool:
        """Whether broadcasts keep the value true at this moment: subscribed, and connected."""
        return self._source.live

    def register(self, method: Callback, prime: bool = False, *, payloads: bool = False) -> None:
        """Have *method* called with ``(item, value, timestamp)`` for each new value.

        Calls come from another thread, in order, one at a time for each item. *method* is held
        weakly: keep a reference to it as long as it should be called. A change of quality is told
        like one of value: that the daemon is gone, or back, for example. A thousand values at most
        wait for calls that take long; beyond them the oldest are dropped.

        Args:
            method: What to call.
            prime: Call it with the present value first.
            payloads: Call it with ``(item, payload)``, which has the quality too.
        """
        self._callbacks.add(method, payloads=payloads)
        self.subscribe()
        if prime:
            self._source.prime(method)

    def unregister(self, method: Callback) -> None:
        """Have *method* called no longer."""
        self._callbacks.remove(method)

    def subscribe(self) -> None:
        """Have the daemon send each new value, so that reading it here asks nobody.

        Raises:
            NoAnswer: the daemon does not answer.
        """
        self._source.subscribe()

    @property
    def dropped(self) -> int:
        """How many values callbacks and :meth:`watch` here have not seen, as they were too slow."""
        return self._callbacks.dropped

    def watch(self, timeout: float | None = None) -> Iterator[Payload]:
        """Yield the present value and then each new one, as payloads.

        Who takes them too slowly loses the oldest: see :attr:`dropped`.

        Args:
            timeout: End after this many seconds without a new value; ``None`` never ends.
        """
        from .waiting import Waiting

        values: Waiting[Payload] = Waiting()
        last: Payload | None = None

        def collect(_item: Item, payload: Payload) -> None:
            # The broadcast of the very value that was found out first may come after it.
            nonlocal last
            if last and last.time == payload.time and last.encode() == payload.encode():
                return
            last = payload
            self._callbacks.note_dropped(values.put(payload, payload))

        self.register(collect, prime=True, payloads=True)
        try:
            while (payload := values.get(timeout)) is not None:
                yield payload
        finally:
            self.unregister(collect)

    # What a daemon's author calls.

    def poll(self, period: float | None) -> None:
        """Have :meth:`req_poll` called every *period* seconds, from the start of the daemon on.

        Args:
            period: Seconds; ``None`` or 0 ends polling. The second call may come early, so that
                those of many items are spread over the period.

        Raises:
            NotSupported: this process is not the daemon that holds the item.
            BadValue: the period is negative.
        """
        self._source.poll(period)

    def publish(
        self,
        new_value: Any,
        timestamp: float | None = None,
        repeat: bool = False,
        *,
        quality: str = "valid",
        reason: str | None = None,
    ) -> None:
        """Make *new_value* the item's value and tell everybody who subscribed.

        Nothing is sent if value and quality are what they were.

        Args:
            new_value: The value, or a :class:`mktl.Payload`.
            timestamp: UNIX seconds at which it was taken; now, if left out.
            repeat: Send it even though nothing has changed.
            quality: How good it is.
            reason: Why it is not ``valid``, in one line.

        Raises:
            NotSaved: the item is persistent and the value could not be written to disk; it was
                published all the same.
            WrongType: the value has a form that cannot be sent.
        """
        if not isinstance(new_value, Payload):
            new_value = self.payload_of(new_value, timestamp)
            if quality != "valid":
                new_value = new_value.having(quality=quality, reason=reason)
        self._source.publish(new_value, repeat=repeat)

    def hear(self, value: Any) -> None:
        """Publish *value*, which the hardware has given by itself, just now.

        Whatever was being read meanwhile is older, and is dropped.

        Raises:
            NotSaved, WrongType: as for :meth:`publish`.
            LinkDown: the link to the hardware was lost meanwhile.
        """
        self._source.hear(value)

    def doubt(self, error: BaseException) -> None:
        """Keep the value, but mark it as invalid because of *error*, and tell everybody.

        Raises:
            NotSupported: this process is not the daemon that holds the item.
        """
        self._source.doubt(error)

    # What a daemon's author overrides.

    def req_get(self, request: ItemRequest) -> Payload | None:
        """Answer a GET: refresh if asked to, or if there was never a value.

        Returns:
            The payload to reply with; ``None`` for the item's present one.
        """
        if request.refresh or self._source.payload.time is None:
            self.req_poll()
        return None

    def req_poll(self, repeat: bool = False) -> None:
        """Refresh the value and publish it if it changed."""
        if type(self).perform_poll is not ReferenceNames.perform_poll:
            self.perform_poll()
            return
        self._source.refresh_and_publish(repeat=repeat)

    def req_refresh(self) -> Any:
        """Return the value that is true now; override this to read the hardware.

        Returns:
            The value, a :class:`mktl.Payload`, or ``None`` if there is nothing new.

        Raises:
            Exception: the hardware could not be read. The value stays, marked as invalid, and
                whoever asked is told the reason.
        """
        return self.perform_get()

    def req_set(self, request: ItemRequest) -> Any:
        """Carry out a SET; override this to write to the hardware.

        ``request.value`` has passed :meth:`validate`. What is raised is the client's answer. An
        override publishes what is true afterwards, for example by :meth:`req_poll`. The default
        publishes what :meth:`req_refresh` then says, or, if that is not overridden, the value.
        """
        self.perform_set(request.value)
        if self.publish_on_set:
            from ._authority import Authority

            assert isinstance(self._source, Authority)  # nobody else is asked to carry out a SET
            self._source.publish_after_set(request.value)

    def validate(self, value: Any) -> Any:
        """Return *value*, corrected if need be, or raise; override this to refuse values.

        Type, enumerators and range were checked already.

        Raises:
            ValueError: the value is not allowed; the text is the client's answer.
        """
        return value
