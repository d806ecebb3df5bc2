"""From the command line to the verb that carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._outcome import Outcome, UsageError

if TYPE_CHECKING:
    from ._arguments import Arguments

__all__ = ["run"]


def run(arguments: Arguments) -> int:
    """Carry out *arguments* and return the exit code."""
    from importlib import import_module

    import mktl
    from mktl import config

    if arguments.at is not None:
        _check_address(arguments.at)
    if arguments.timeout_s is not None:
        config.set_answer_timeout_s(arguments.timeout_s)
    outcome = Outcome()
    verb = import_module(f".{arguments.verb}", __package__)
    try:
        verb.run(arguments, outcome)
    finally:
        config.set_answer_timeout_s(None)
        mktl.close()
    return outcome.status


def _check_address(text: str) -> None:
    from mktl.errors import ConfigurationError
    from mktl.transport.hosts import parse_address

    try:
        parse_address(text)
    except ConfigurationError as error:
        raise UsageError(f"--at: {error}") from None
