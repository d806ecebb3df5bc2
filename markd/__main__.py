"""``markd``: runs one daemon until it is told to stop."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mktl.errors import ConfigurationError

from . import _conformance_cli
from .logs import add_log_options, set_up_logs
from .supervision import EXIT_CODES, EXIT_STOPPED, EXIT_USAGE, Stoppable, supervise

if TYPE_CHECKING:
    from drivers.wiring import InstrumentFile

__all__ = ["main"]

_log = logging.getLogger("markd")

_EPILOG = f"""\
examples:
  markd cryostat.toml                     run what an instrument file describes
  markd cryostat.toml --check             say what is wrong with it; no hardware is touched
  markd cryostat.toml --check -v          and what is asked how often, and how busy that keeps it
  markd cryostat.toml --simulate          run it against simulators of its controllers
  markd cryostat.toml --conformance       see what it stands: each fault of each controller
  markd cryo hw -m cryostat -s Cryostat   run the class Cryostat of the Python module cryostat
  markd cryo notes -c notes.json          run a plain key/value daemon with these items
  markd new lakeshore336 cryostat.toml    write an instrument file to begin with (markd new --help)
  markd --schema                          print the JSON Schema of instrument files, for editors

{EXIT_CODES}
A second SIGTERM or SIGINT ends it at once. Files are kept under $MKTL_HOME (~/.mKTL).
"""


def main(argv: list[str] | None = None) -> int:
    """Run one daemon until it is told to stop; return the exit code."""
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_STOPPED


def _main(words: list[str]) -> int:
    if words[:1] == ["new"]:
        return _write_new(words[1:])
    parser = _parser()
    options = parser.parse_args(words)
    if options.schema:
        return _print_schema()
    if options.verbose and not options.check:
        options.log_level = "debug"
    elif options.conformance and options.log_level == "info":
        options.log_level = "warning"  # the table is what there is to be read
    set_up_logs(options)
    _check_words(parser, options)
    try:
        if options.file is None:
            return _run_python(options)
        return _run_file(options)
    except ConfigurationError as error:
        print(f"markd: {error}", file=sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="markd",
        usage="markd FILE.toml [options]\n       markd STORE ALIAS [options]\n"
        "       markd new DRIVER [FILE.toml] [options]\n       markd --schema",
        description="Run a daemon: the authority for the items of an instrument.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", metavar="FILE.toml | STORE ALIAS", help="what to run")
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of FILE.toml, and end"
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="with --check: print what is asked how often; else: --log-level debug",
    )
    parser.add_argument(
        "-o", "--override", action="store_true",
        help="have registries forget a daemon in its place that no longer answers",
    )  # fmt: skip
    add_log_options(parser)
    python = parser.add_argument_group("for STORE ALIAS")
    python.add_argument(
        "-m", "--module", help="Python module, or .py file, with the daemon's class (default: mktl)"
    )
    python.add_argument("-s", "--subclass", help="its class (default: Daemon, or the only one)")
    python.add_argument("-c", "--catalog", help="JSON file of item descriptions, used from now on")
    python.add_argument("-a", "--appconfig", help="for the class: options.appconfig")
    file = parser.add_argument_group("for FILE.toml")
    file.add_argument(
        "--url", action="append", default=[], metavar="NAME=URL",
        help="reach the controller NAME at URL instead; may be given again",
    )  # fmt: skip
    file.add_argument("--simulate", action="store_true", help="run against simulators")
    _conformance_cli.add_options(file)
    file.add_argument("--check", action="store_true", help="check the file, and end")
    file.add_argument("--describe", action="store_true", help="print its items as JSON, and end")
    return parser


def _check_words(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Find out which form of the command line it is, and refuse what does not belong to it."""
    words = options.words
    if not words:
        parser.error("what is to be run? FILE.toml, or STORE ALIAS")
    options.file = Path(words[0]) if len(words) == 1 else None
    if len(words) > 2:
        parser.error(f"too many words: {' '.join(words)}")
    if options.file is not None:
        if options.file.suffix != ".toml" and not options.file.exists():
            parser.error(
                f"{words[0]!r} is neither an instrument file (FILE.toml) nor followed by an ALIAS"
            )
        wrong = [
            name
            for name in ("module", "subclass", "catalog", "appconfig")
            if options.__dict__[name]
        ]
        form = "STORE ALIAS"
    else:
        options.store, options.alias = words
        wrong = [
            name
            for name in ("simulate", "conformance", "check", "describe", "url")
            if options.__dict__[name]
        ]
        form = "FILE.toml"
    if wrong:
        parser.error(f"--{wrong[0]} goes with {form} only")
    if problem := _conformance_cli.misplaced(options):
        parser.error(problem)


def _run_python(options: argparse.Namespace) -> int:
    from .loading import load_daemon_class

    if options.catalog and not Path(options.catalog).is_file():
        raise ConfigurationError(f"there is no catalog file {options.catalog}")
    daemon_class = load_daemon_class(options.module or "mktl", options.subclass)

    def start() -> Stoppable:
        return daemon_class(options.store, options.alias, options.override, options)

    return supervise(start, f"{options.store}.{options.alias}")


def _write_new(words: list[str]) -> int:
    from . import _new

    try:
        print(_new.run(words))
    except ConfigurationError as error:
        print(f"markd new: {error}", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_STOPPED


def _print_schema() -> int:
    from drivers._schema import schema

    print(json.dumps(schema(), indent=2))
    return EXIT_STOPPED


def _check_file(options: argparse.Namespace, checked: InstrumentFile, urls: dict[str, str]) -> int:
    """Say what the file would do; the errors in it have been told."""
    from drivers.plan import overloads, plan
    from drivers.wiring import BadInstrumentFile

    from ._plan import plan_text, summary

    lines = plan(checked, urls)
    problems, notes = overloads(checked, lines)
    if options.verbose and (text := plan_text(lines)):
        print(text)
    if problems:
        raise BadInstrumentFile(str(options.file), problems)
    print(f"{options.file}: {summary(checked)}, no problems")
    for note in (*checked.notes, *notes):
        print(f"  note: {note}")
    return EXIT_STOPPED


def _run_file(options: argparse.Namespace) -> int:
    if options.conformance:
        return _conformance_cli.run(options)

    from drivers import wiring
    from drivers.plan import overloads, plan
    from simulators import SimulatorError

    from . import runner
    from ._twins import start_twins

    checked = wiring.load(options.file)
    urls = runner.check_urls(checked, options.url)
    if options.describe:
        print(json.dumps(runner.describe(checked), indent=2))
        return EXIT_STOPPED
    if options.check:
        return _check_file(options, checked, urls)
    for found in (checked.notes, *overloads(checked, plan(checked, urls))):
        for note in found:
            _log.warning("%s: %s", options.file, note)
    with ExitStack() as stack:
        try:
            if options.simulate:
                urls.update(start_twins(options.file, checked, stack, besides=tuple(urls)))
        except SimulatorError as error:
            raise ConfigurationError(f"cannot be simulated: {error}") from error

        def start() -> Stoppable:
            return runner.InstrumentDaemon(checked, urls, override=options.override)

        return supervise(start, f"{checked.store}.{checked.alias}")


if __name__ == "__main__":
    raise SystemExit(main())
