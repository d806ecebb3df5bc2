"""The command ``mark``: get, set, watch, list and describe items from a shell.

- ``_arguments``: the command line, understood; ``_help``: what it prints about itself
- one module a verb, each with ``run(arguments, outcome) -> None``
- ``_keys``: from what was typed to items; ``_lines``: from values to what is printed
- ``_outcome``: what failed, and the exit code that follows

Nothing of :mod:`mktl` is imported before a verb needs it: help and mistakes on the command line
answer at once.
"""

from __future__ import annotations

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run ``mark`` with the arguments *argv*, those of the process if left out.

    Returns:
        0 done; 1 refused; 2 wrong usage; 3 no answer; 4 there are alarms (of ``alarms``); 130
        interrupted.
    """
    from ._outcome import guarded

    if argv is not None:
        return guarded(lambda: _run(argv))
    import gc

    # The process is ours: a tenth of its time would go into looking for garbage among what it
    # imports, and into collecting in the end what ends anyway.
    gc.set_threshold(50_000)
    status = guarded(lambda: _run(argv))
    gc.freeze()
    return status


def _run(argv: list[str] | None) -> int:
    import sys

    from . import _arguments

    arguments = _arguments.parse(sys.argv[1:] if argv is None else argv)
    if arguments.text is not None:
        print(arguments.text)
        return 0
    from ._dispatch import run

    return run(arguments)
