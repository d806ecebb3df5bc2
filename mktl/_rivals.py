"""Other daemons that hold what this one is about to hold, found without any registry.

A registry refuses a daemon whose place is held. Where there is none, two daemons would serve one
key, and clients would get now this one's value and now that one's. So a daemon also asks those
that answer a call.
"""

from __future__ import annotations

import threading

from . import config, directory
from .catalog import Block, find_conflicts
from .errors import CatalogConflict

__all__ = ["RivalSearch"]

CALL_WAIT_S = 0.2
"""How long answers are waited for: the start of the daemon takes at least as long."""


class RivalSearch:
    """Looks for daemons in the way of *block*, beside whatever else is done at the start.

    Args:
        block: What the daemon is about to announce.
    """

    def __init__(self, block: Block) -> None:
        self._block = block
        self._conflicts: list[str] = []
        self._thread = threading.Thread(
            target=self._search, name=f"{block.name}-rivals", daemon=True
        )
        self._thread.start()

    def check(self) -> None:
        """Wait for the end of the search.

        Raises:
            CatalogConflict: another daemon that answers holds a key, or the alias.
        """
        self._thread.join()
        if self._conflicts:
            raise CatalogConflict("; ".join(self._conflicts))

    def _search(self) -> None:
        block = self._block
        patience_s = min(0.5, config.answer_timeout_s())
        others, _failures = directory.ask_catalog(
            block.store, directory.call_daemons(wait_s=CALL_WAIT_S), timeout_s=patience_s
        )
        self._conflicts = [
            f"{conflict.reason}, and that one answers: stop it first"
            for conflict in find_conflicts(block, others)
        ]
