"""Telling registries that a daemon is there, and what it holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from . import config, directory
from ._ratelimit import RateLimitedLog
from .catalog import Block
from .errors import Busy, CatalogConflict, MktlError, NoAnswer
from .protocol.message import SET, Response, encode_json
from .replies import read_response
from .transport.many import ask_all

__all__ = ["Announcer"]

AGAIN_S = 60.0
"""How often a daemon announces itself again, for registries that came later or lost a datagram."""
CALL_WAIT_S = 0.2
"""How long the first call for registries is waited on: it delays the start of the daemon."""

_log = logging.getLogger(__name__)


class Announcer:
    """Announces one block, at the start and again from time to time.

    Args:
        block: What the daemon says about itself.
        override: Ask registries to forget a daemon that is in the way and no longer answers.
    """

    def __init__(self, block: Block, *, override: bool) -> None:
        self._block = block
        self._override = override
        self._accepted: set[directory.Address] = set()
        self._troubles: dict[directory.Address, str] = {}
        self._trouble = RateLimitedLog(_log, interval_s=3600.0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{block.name}-announcer", daemon=True
        )

    def announce_first(self) -> None:
        """Announce the block to every registry that can be found now.

        Raises:
            CatalogConflict: one of them refuses it: the daemon must not go on the air.
        """
        refusals = self._announce(CALL_WAIT_S)
        if refusals:
            raise CatalogConflict("; ".join(refusals))

    def start(self) -> None:
        """Go on announcing in the background."""
        self._thread.start()

    def close(self) -> None:
        """Stop announcing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(AGAIN_S):
            try:
                refusals = self._announce(directory.CALL_WAIT_S)
            except Exception as error:  # no descriptor is free, say: there is a next time
                self._trouble.warning("%s was not announced again: %s", self._block.name, error)
                continue
            for refusal in refusals:
                _log.error("%s is refused, but stays on the air: %s", self._block.name, refusal)

    def _announce(self, wait_s: float) -> list[str]:
        called = directory.call_registries(wait_s=wait_s)
        if self._stopping.is_set():
            return []
        if called:
            directory.remember_registries(called)
        addresses = dict.fromkeys([*called, *directory.known_registries()])
        return self._tell(addresses, set(called))

    def _tell(
        self, addresses: Iterable[directory.Address], answered: set[directory.Address]
    ) -> list[str]:
        """Send the block to all at once; return the reasons of those that refuse it."""
        fields = self._block.to_json()
        if self._override:
            fields["override"] = True

        def patience_s(address: directory.Address) -> float:
            # One that did not answer the call is most likely gone: it must not hold us up.
            return config.answer_timeout_s() if address in answered else CALL_WAIT_S

        outcomes = ask_all(
            addresses,
            SET,
            "_catalog",
            encode_json({"value": fields}),
            patience_s=patience_s,
            reply_timeout_s=3 * config.answer_timeout_s(),
            stopping=self._stopping,
        )
        if self._stopping.is_set():
            return []
        failures = {one: error for one, error in outcomes.items() if isinstance(error, MktlError)}
        if len(failures) < len(outcomes):
            directory.forget_registries(failures)
        return [refusal for one in outcomes.items() if (refusal := self._read(*one))]

    def _read(self, address: directory.Address, outcome: Response | MktlError) -> str:
        """Return the reason of a refusal, empty if there is none."""
        try:
            if isinstance(outcome, MktlError):
                raise outcome
            read_response(outcome)
        except (NoAnswer, ConnectionError, Busy) as error:  # nothing was said against it
            self._note_trouble(address, error)
        except MktlError as error:
            return f"registry {address[0]}:{address[1]}: {error}"
        else:
            self._troubles.pop(address, None)
            if address not in self._accepted:
                self._accepted.add(address)
                _log.info("%s is known to the registry at %s:%d", self._block.name, *address)
        return ""

    def _note_trouble(self, address: directory.Address, error: Exception) -> None:
        """Log the same trouble with the same registry once."""
        if self._troubles.get(address) != type(error).__name__:
            self._troubles[address] = type(error).__name__
            _log.warning("registry %s:%d was not told of %s: %s", *address, self._block.name, error)
