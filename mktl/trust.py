"""Which key a daemon has to have: asked before each connection, and mostly there is none to know.

What is known, and how, is the matter of ``mktl/known_keys.py``, which is imported when there is
something to know: most commands connect in clear text, and have to be quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import config

if TYPE_CHECKING:
    from .catalog import Block

__all__ = ["key_at", "key_for"]


def key_for(block: Block) -> bytes | None:
    """Return the key that the daemon of *block* has to have; ``None`` to connect in clear text.

    Raises:
        UntrustedDaemon: it shows another one than is known.
        ConfigurationError: what is known cannot be read.
    """
    origin = block.daemon
    if origin is None or not (origin.curve or _is_anything_known()):
        return None
    from . import known_keys

    return known_keys.key_for(block)


def key_at(host: str, port: int) -> bytes | None:
    """Return the key that whoever is at *host* and *port* has to have, as far as it is known.

    Raises:
        ConfigurationError: what is known cannot be read.
    """
    if not _is_anything_known():
        return None
    from . import known_keys

    return known_keys.key_at(host, port)


def _is_anything_known() -> bool:
    home = config.home()
    # Not those of pathlib: a folder that another user of this home has closed is no error to them.
    return any(map(os.path.exists, (home / "client/keys/known", home / "daemon/keys/serving")))
