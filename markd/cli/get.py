"""``mark get``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mktl.errors import MktlError

from . import _keys
from ._lines import Printer

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print the values that the daemons hold, without subscribing to them."""
    printer = Printer(arguments, timestamps=False)
    for name, (store, keys) in _keys.find(arguments, outcome, _keys.is_gettable).items():
        results = store.read(keys, refresh=bool(arguments.refresh), timeout=arguments.timeout_s)
        for key, result in results.items():
            full_key = f"{name}.{key}"
            try:
                if isinstance(result, MktlError):
                    raise result
                printer.show(full_key, result, store[key].description)
            except MktlError as error:
                outcome.failed(full_key, error)
