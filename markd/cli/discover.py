"""``mark discover``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mktl
from mktl.errors import ConfigurationError

from ._json import json_line
from ._outcome import UsageError

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:  # noqa: ARG001
    """Print the stores that registries know, and remember the registries."""
    try:
        stores = mktl.discover(*arguments.requests)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print(json_line({"stores": stores}))
    else:
        print(f"{len(stores)} stores discovered: {', '.join(stores)}".rstrip(": "))
