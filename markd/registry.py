"""``markregistryd``: tells clients which daemons there are, and daemons whether a place is free.

It keeps no values and is asked for none; clients that have found their daemons do without it.
"""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mktl import config, directory
from mktl.catalog import Block, Conflict, find_conflicts
from mktl.errors import BadMessage, BadValue, CatalogConflict, MktlError, UnknownKey
from mktl.lanes import Lanes
from mktl.protocol.message import GET, decode_json, encode_json
from mktl.protocol.names import fold, split
from mktl.transport.beacon import Beacon
from mktl.transport.hosts import hostname
from mktl.transport.ports import REQUEST_PORTS, bind, reserved_ports
from mktl.transport.server import RequestServer, Responder

from .logs import add_log_options, set_up_logs
from .supervision import EXIT_CODES, supervise

__all__ = ["Registry", "main"]

_log = logging.getLogger(__name__)


class Registry:
    """Knows the blocks of all daemons that announced themselves, or answered its call.

    Making one starts it.

    Raises:
        AlreadyRunning: there is a registry on this host already.
    """

    def __init__(self) -> None:
        self._files = config.home() / "registry"
        self._lock = threading.Lock()
        self._blocks: dict[str, Block] = {}
        self._stopped = threading.Event()
        self._lanes = Lanes("registry")
        self._server = RequestServer(self._bind, self._handle, "registry")
        try:
            self._beacon = Beacon(
                config.registry_discovery_port(), self._server.port, shared=False, name="registry"
            )
        except MktlError:
            self._server.close()
            raise
        self._load()
        self._server.start()
        self._lanes.submit("call", self._call_daemons)
        _log.info(
            "the registry is on the air at %s:%d, %d blocks known",
            hostname(),
            self._server.port,
            len(self._blocks),
        )

    @property
    def port(self) -> int:
        """TCP port for requests."""
        return self._server.port

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it was stopped; return whether it was within *timeout* seconds."""
        return self._stopped.wait(timeout)

    def stop(self) -> None:
        """Stop answering, and close everything."""
        self._beacon.close()
        self._server.stop()
        self._lanes.close(timeout_s=1.0)
        self._server.close()
        self._stopped.set()
        _log.info("the registry has stopped")

    def _bind(self, socket: Any) -> int:
        reserved = reserved_ports(config.home() / "daemon" / "port")
        return bind(socket, self._files / "port", REQUEST_PORTS, reserved)

    # What is known.

    def _path(self, block: Block) -> Path:
        return self._files / "cache" / block.store / f"{block.uuid}.json"

    def _load(self) -> None:
        """Begin with what was known before: a daemon that is down keeps its place."""
        for path in sorted((self._files / "cache").glob("*/*.json")):
            try:
                block = Block.from_json(decode_json(path.read_bytes()))
            except (OSError, MktlError) as error:
                _log.error("%s is not used: %s", path, error)
                continue
            self._blocks[block.uuid] = block

    def _enter(self, block: Block) -> None:
        with self._lock:
            known = self._blocks.get(block.uuid)
            self._blocks[block.uuid] = block
        if known != block:
            _log.info("%s is known now, at %s", block.name, block.daemon)
            self._write(block)

    def _write(self, block: Block) -> None:
        try:
            config.write_atomically(self._path(block), encode_json(block.to_json()))
        except OSError as error:
            _log.error("%s was not written, a restart would forget it: %s", block.name, error)

    def _forget(self, block: Block) -> None:
        with self._lock:
            self._blocks.pop(block.uuid, None)
        self._path(block).unlink(missing_ok=True)
        _log.warning("%s (uuid %s) is forgotten, as was asked for", block.name, block.uuid)

    def _known(self) -> list[Block]:
        with self._lock:
            return list(self._blocks.values())

    # What is asked.

    def _handle(self, responder: Responder) -> None:
        request = responder.request
        target = request.target.lower()
        if request.kind == GET and target == "_hash":
            self._answer_hashes(responder, self._known())
        elif request.kind == GET:
            self._answer_about_store(responder, *split(target))
        elif target == "_catalog":
            fields = request.payload.get("value")
            block = Block.from_json(fields)
            if block.daemon is None:
                raise BadMessage(f"the block of {block.name} does not say where its daemon is")
            override = isinstance(fields, dict) and fields.get("override") is True
            responder.acknowledge()
            self._lanes.submit(block.store, lambda: self._consider(responder, block, override))
        else:
            raise BadValue(f"a registry holds no items: {request.target!r} cannot be set here")

    def _answer_about_store(self, responder: Responder, store: str, name: str) -> None:
        blocks = [block for block in self._known() if block.store == store]
        if name not in ("_hash", "_catalog"):
            raise UnknownKey(f"a registry holds no items: ask the daemon that has {store}.{name}")
        if not blocks:
            raise UnknownKey(f"no daemon of a store {store!r} is known to this registry")
        if name == "_hash":
            self._answer_hashes(responder, blocks)
            return
        host, port = hostname(), self._server.port
        value = {block.uuid: block.passed_on_by(host, port).to_json() for block in blocks}
        responder.reply(encode_json({"value": value}))

    @staticmethod
    def _answer_hashes(responder: Responder, blocks: Iterable[Block]) -> None:
        hashes: dict[str, dict[str, int]] = {}
        for block in blocks:
            hashes.setdefault(block.store, {})[block.uuid] = block.hash
        responder.reply(encode_json({"value": hashes}))

    def _consider(self, responder: Responder, block: Block, override: bool) -> None:
        """Accept or refuse *block*. One store at a time, lest two of them pass each other."""
        try:
            self._resolve(find_conflicts(block, self._known()), override)
        except MktlError as error:
            _log.warning("%s at %s is refused: %s", block.name, block.daemon, error)
            responder.fail(error)
            return
        # What travels with the announcement, and is no part of the block.
        block.extra.pop("override", None)
        self._enter(block)
        responder.reply(b'{"value":true}')

    def _resolve(self, conflicts: list[Conflict], override: bool) -> None:
        """Forget what is in the way, as far as that is asked for and allowed.

        Raises:
            CatalogConflict: something stays in the way.
        """
        for conflict in conflicts:
            if _answers(conflict.other):
                raise CatalogConflict(f"{conflict.reason}, and that one answers: stop it first")
            if conflict.same_daemon:
                continue  # it has moved: its old address is dead, its identity is the same
            if not override:
                raise CatalogConflict(
                    f"{conflict.reason}, which does not answer: if it is gone for good, start "
                    "this one with -o (override)"
                )
        for conflict in conflicts:
            if not conflict.same_daemon:
                self._forget(conflict.other)

    def _call_daemons(self) -> None:
        """Find the daemons that were there before this registry."""
        addresses = directory.call_daemons(wait_s=1.0)
        answers = directory.ask(addresses, "_hash", timeout_s=config.answer_timeout_s())
        for address, value in answers.values.items():
            stores = value if isinstance(value, dict) else {}
            for name in stores:
                self._ask_about(fold(name, "store"), address)

    def _ask_about(self, store: str, address: directory.Address) -> None:
        blocks, _failures = directory.ask_catalog(
            store, [address], timeout_s=config.answer_timeout_s()
        )
        for block in blocks:
            if block.daemon is None:
                continue
            try:
                self._resolve(find_conflicts(block, self._known()), override=False)
            except CatalogConflict as error:
                _log.error("%s at %s:%d is not taken in: %s", block.name, *address, error)
            else:
                self._enter(block)


def _answers(block: Block) -> bool:
    """Return whether the daemon of *block* is still there, and is that daemon."""
    origin = block.daemon
    if origin is None:
        return False
    clock = f"{block.store}._{block.alias}clk"
    answers = directory.ask(
        [(origin.hostname, origin.rep)], clock, timeout_s=config.answer_timeout_s() / 2
    )
    return bool(answers.values)


def main(argv: list[str] | None = None) -> int:
    """Run a registry until it is told to stop; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="markregistryd",
        description="Run the registry of this network: it tells clients which daemons there are.",
        epilog=f"{EXIT_CODES}\nfiles and ports: see MKTL_HOME and others in docs/protocol.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_log_options(parser)
    set_up_logs(parser.parse_args(argv))
    return supervise(Registry, "the registry")


if __name__ == "__main__":
    raise SystemExit(main())
