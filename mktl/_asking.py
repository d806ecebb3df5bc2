"""A client's requests to one daemon: where it is, and whether it is still the one meant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import config, directory
from ._log import Log
from .errors import ConnectionLost, HandshakeFailed, MktlError, NoAnswer, NotConnected, UnknownKey
from .payload import Payload
from .protocol.message import GET
from .replies import read_reply
from .transport.client import Reconnected, Reply, RequestClient
from .trust import key_for

if TYPE_CHECKING:
    from .catalog import Block

__all__ = ["GONE_S", "REFRESH", "Asking", "is_from_another", "is_ours"]

_log = Log(__name__)

REFRESH = b'{"refresh":true}'

GONE_S = 0.25
"""How long to wait for a daemon that has just been waited for in vain."""
SEARCH_EVERY_S = 10.0
"""How often at most to look for a daemon that does not answer where it was."""


SEARCH_SOON_S = 1.0
"""The same, once, where somebody answers, but is of another mind about encryption."""


class Asking:
    """The requests to one daemon.

    Args:
        block: What it said about itself.
        renewed: Called when the daemon turned out to have another block now, or when another one
            has turned out to be in its place.
    """

    def __init__(self, block: Block, renewed: Callable[[Block], None]) -> None:
        self.block = block
        self._renewed = renewed
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._client: RequestClient | None = None
        # How often the connection had broken when it was last known who is at its other end.
        self._known_breaks = 0
        self._identifying = threading.Lock()
        self._next_search = self._searched = self._next_hurry = 0.0
        self._gone = False

    def _requests(self) -> RequestClient:
        with self._lock:
            self._check_open()
            if self._client is None:
                origin = self.block.daemon
                if origin is None:
                    raise NoAnswer(f"it is not known where the daemon {self.block.name} is")
                self._client = RequestClient(
                    origin.hostname,
                    origin.rep,
                    name=self.block.name,
                    server_key=key_for(self.block),
                )
                self._known_breaks = 0
            return self._client

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise ConnectionLost(f"the connection to {self.block.name} was closed")

    def request(self, kind: bytes, target: str, payload: bytes = b"", **options: Any) -> Reply:
        """Send a request; see :meth:`mktl.transport.client.RequestClient.request`.

        Where there is no connection, registries are asked whether the daemon has moved.
        """
        if self._gone:
            # It was waited for a moment ago, in vain: a word to see whether it is back has to do.
            self._gone = False
            options.setdefault("ack_timeout_s", min(GONE_S, config.answer_timeout_s()))
        try:
            return self._send(kind, target, payload, options)
        except NotConnected as error:
            again = isinstance(error, HandshakeFailed) and self.take_other_key()
            if not (again or self._find_again()):
                raise
            return self._send(kind, target, payload, options)

    def _send(self, kind: bytes, target: str, payload: bytes, options: dict[str, Any]) -> Reply:
        while True:
            client, breaks = self._requests(), self._known_breaks
            try:
                return client.request(kind, target, payload, breaks=breaks, **options)
            except Reconnected:
                timeout_s = options.get("ack_timeout_s") or config.answer_timeout_s()
                self._identify(client, target, timeout_s)

    def _identify(self, client: RequestClient, target: str, timeout_s: float) -> None:
        """Find out who is at the other end after the connection broke.

        Where it is another one than before, the units and the names of a value may be others, too.

        Raises:
            NotConnected: nobody is, or another daemon, and it is not known where this one is.
            NoAnswer: whoever it is does not say.
        """
        with self._identifying:
            if client is not self._client or client.breaks == self._known_breaks:
                return  # another thread was faster
            breaks = client.breaks
            client.wait_connected(target, time.monotonic() + timeout_s, timeout_s)
            try:
                renewed = directory.identify(client, self.block, timeout_s=timeout_s)
            except NoAnswer as error:
                raise NoAnswer(
                    f"{target}: {client.peer} broke the connection, and what answers there now "
                    "does not say who it is. Nothing was sent"
                ) from error
            if renewed is not None:
                self._note_known(client, breaks)
                if renewed is not self.block:
                    self._renewed(renewed)
                return
        if not self._find_again():
            raise NotConnected(
                f"{target}: {client.peer} broke the connection, and another daemon answers there "
                "now. Nothing was sent"
            )

    def _note_known(self, client: RequestClient, breaks: int) -> None:
        with self._lock:
            if client is self._client:
                self._known_breaks = breaks

    def note_gone(self) -> None:
        """Take note that the daemon was waited for, and looked for elsewhere, in vain."""
        self._gone = True
        self.note_search()

    def verify(self, timeout_s: float) -> Block | None:
        """Return the daemon's block, renewed if it has changed; ``None`` if it does not answer."""
        try:
            return self.identify(timeout_s)
        except MktlError as error:
            _log.debug("%s: %s", self.block.name, error)
            return None

    def identify(self, timeout_s: float) -> Block | None:
        """Return the daemon's block, renewed if it has changed; ``None`` if another one answers.

        Raises:
            MktlError: nobody answers.
        """
        client = self._requests()
        breaks = client.breaks
        renewed = directory.identify(client, self.block, timeout_s=timeout_s)
        if renewed is not None:
            self._note_known(client, breaks)
        return renewed

    def reconsider(self) -> bool:
        """After an answer that the right daemon would not give, look where that one is.

        Returns:
            Whether something is known now that was not.
        """
        known = self.block
        renewed = self.verify(config.answer_timeout_s())
        if renewed is known:
            return False
        if renewed is not None:
            self._renewed(renewed)
            return True
        self._next_search = 0.0
        return self._find_again()

    def _find_again(self) -> bool:
        """Return whether the daemon turned out to be elsewhere. Done seldom: it takes long."""
        if time.monotonic() < self._next_search:
            return False
        self.note_search()
        timeout_s = config.answer_timeout_s()
        try:
            found = directory.find(self.block.store, at=None, timeout_s=timeout_s)
        except MktlError as error:
            _log.debug("%s was looked for: %s", self.block.name, error)
            return False
        for block in found:
            if block.uuid == self.block.uuid and block.daemon not in (None, self.block.daemon):
                key_for(block)  # lest one should move to where one must not connect
                self.move(block)
                directory.remember(block.store, [block])
                return True
        return self._find_successor(found, timeout_s)

    def _find_successor(self, found: list[Block], timeout_s: float) -> bool:
        """Return whether another daemon is there under this one's alias.

        A registry may know of one that has long been replaced itself: what counts is who answers.
        """
        for block in found:
            if block.alias != self.block.alias or block.uuid == self.block.uuid:
                continue
            if block.daemon is None:
                continue
            address = (block.daemon.hostname, block.daemon.rep)
            own, _failures = directory.ask_catalog(block.store, [address], timeout_s=timeout_s)
            successor = next((one for one in own if one.uuid == block.uuid), None)
            if successor is not None:
                _log.info("%s has another identity now: %s", block.name, block.uuid)
                self._renewed(successor)
                return True
        return False

    def find_successor_here(self) -> bool:
        """Return whether another daemon answers at this one's address, under its alias."""
        origin = self.block.daemon
        if origin is None:
            return False
        timeout_s = config.answer_timeout_s()
        address = (origin.hostname, origin.rep)
        found, _failures = directory.ask_catalog(self.block.store, [address], timeout_s=timeout_s)
        return self._find_successor(found, timeout_s)

    def take_other_key(self) -> bool:
        """Connect anew, if another key is known of the daemon than when that was done last.

        Returns:
            Whether there is. If not, it may be looked for elsewhere soon.

        Raises:
            UntrustedDaemon: it shows another one than is known.
        """
        now = time.monotonic()
        if now >= self._next_hurry:
            self._next_hurry = now + SEARCH_EVERY_S
            self._next_search = min(self._next_search, self._searched + SEARCH_SOON_S)
        client = self._client
        if client is None or key_for(self.block) == client.server_key:
            return False
        self.move(self.block)
        return True

    def note_search(self) -> None:
        """Take note that somebody has just looked for the daemon."""
        self._searched = time.monotonic()
        self._next_search = self._searched + SEARCH_EVERY_S

    def move(self, block: Block) -> None:
        """Go on at the address that *block* gives."""
        raise NotImplementedError

    def check_presence(self) -> None:
        """Ask what every daemon answers at once.

        Raises:
            MktlError: there is no answer.
        """
        patience_s = config.answer_timeout_s()
        target = f"{self.block.store}._hash"
        read_reply(self.request(GET, target, ack_timeout_s=patience_s), patience_s)

    def ask(self, full_key: str, *, refresh: bool, **options: Any) -> Reply:
        """Send a GET."""
        return self.request(GET, full_key, REFRESH if refresh else b"", **options)

    def get(
        self, full_key: str, *, refresh: bool, timeout_s: float | None, **options: Any
    ) -> Payload:
        """Return what the daemon answers to a GET; asked a second time if the connection breaks."""
        try:
            return read_reply(self.ask(full_key, refresh=refresh, **options), timeout_s)
        except ConnectionLost:
            return read_reply(self.ask(full_key, refresh=refresh, **options), timeout_s)


def is_ours(block: Block) -> bool:
    """Return whether a daemon is one of ours: it has an item that others do not have."""
    return f"_{block.alias}audit" in block.items


def is_from_another(error: MktlError) -> bool:
    """Return whether a daemon that does not hold the item may have answered with *error*."""
    return isinstance(error, UnknownKey) or "this request is for" in str(error)
