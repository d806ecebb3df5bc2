"""``markregistryd``: tells clients which daemons there are, and daemons whether a place is free.

It keeps no values and is asked for none; clients that have found their daemons do without it.
"""

from __future__ import annotations

import argparse
import functools
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mktl import config, directory
from mktl._ratelimit import RateLimitedLog
from mktl.catalog import Block, Conflict, find_conflicts
from mktl.errors import (
    BadMessage,
    BadName,
    BadValue,
    CatalogConflict,
    HandshakeFailed,
    MktlError,
    NoAnswer,
    UnknownKey,
)
from mktl.lanes import Lanes
from mktl.protocol.message import GET, decode_json, encode_json
from mktl.protocol.names import fold, split
from mktl.replies import read_reply
from mktl.transport.beacon import Beacon
from mktl.transport.client import RequestClient
from mktl.transport.hosts import hostname, resolves
from mktl.transport.ports import REQUEST_PORTS, bind, reserved_ports
from mktl.transport.server import RequestServer, Responder

from ._registry_room import Room
from .logs import add_log_options, set_up_logs
from .supervision import EXIT_CODES, supervise

__all__ = ["Registry", "main"]

_log = logging.getLogger(__name__)

_CALL = ("call",)
"""The lane of the call at the start; the others are stores."""
_MOST_PROBES = 32
"""How many daemons are asked at the same time whether they are still there."""
_REFUSALS_EVERY_S = 1.0
"""Whoever announces without end must not fill the log."""


class Registry:
    """Knows the blocks of all daemons that announced themselves, or answered its call.

    Making one starts it.

    Raises:
        AlreadyRunning: there is a registry on this host already.
    """

    def __init__(self) -> None:
        self._files = config.home() / "registry"
        self._hostname = hostname()  # found out once: it may ask a name server
        self._lock = threading.Lock()
        self._blocks: dict[str, Block] = {}
        self._room = Room()
        self._refusals = RateLimitedLog(_log, _REFUSALS_EVERY_S)
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
        self._lanes.submit(_CALL, self._call_daemons)
        _log.info(
            "the registry is on the air at %s:%d, %d blocks known",
            self._hostname,
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
            self._room.keep(block.uuid, len(encode_json(block.to_json())))

    def _enter(self, block: Block) -> None:
        data = encode_json(block.to_json())  # before it is known: what has no JSON is not taken in
        with self._lock:
            known = self._blocks.get(block.uuid)
            self._blocks[block.uuid] = block
        self._room.keep(block.uuid, len(data))
        if known != block:
            _log.info("%s is known now, at %s", block.name, block.daemon)
            self._write(block, data)

    def _write(self, block: Block, data: bytes) -> None:
        try:
            config.write_atomically(self._path(block), data)
        except OSError as error:
            _log.error("%s was not written, a restart would forget it: %s", block.name, error)

    def _forget(self, block: Block) -> None:
        with self._lock:
            self._blocks.pop(block.uuid, None)
        self._room.forget(block.uuid)
        _log.warning("%s (uuid %s) is forgotten, as was asked for", block.name, block.uuid)
        try:
            self._path(block).unlink(missing_ok=True)
        except OSError as error:
            _log.error("%s stays on disk, a restart would bring it back: %s", block.name, error)

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
            size = len(encode_json(block.to_json()))
            self._room.let_in(block.uuid, size)
            responder.acknowledge()
            self._in_turn(block, lambda: self._consider(responder, block, override, size))
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
        host, port = self._hostname, self._server.port
        value = {block.uuid: block.passed_on_by(host, port).to_json() for block in blocks}
        responder.reply(encode_json({"value": value}))

    @staticmethod
    def _answer_hashes(responder: Responder, blocks: Iterable[Block]) -> None:
        hashes: dict[str, dict[str, int]] = {}
        for block in blocks:
            hashes.setdefault(block.store, {})[block.uuid] = block.hash
        responder.reply(encode_json({"value": hashes}))

    def _in_turn(self, block: Block, job: Callable[[], None]) -> None:
        """Have *job* decide about *block*: one at a time in a store, lest two pass each other."""
        self._lanes.submit(block.store, job)

    def _consider(self, responder: Responder, block: Block, override: bool, size: int) -> None:
        """Accept or refuse *block*, and say so: who was acknowledged waits for the reply."""
        self._room.let_go(size)
        # What travels with the announcement, and is no part of the block.
        block.extra.pop("override", None)
        try:
            self._resolve(find_conflicts(block, self._known()), override)
            self._enter(block)
        except MktlError as error:
            self._refusals.warning("%s at %s is refused: %s", block.name, block.daemon, error)
            responder.fail(error)
        except Exception as error:  # a daemon that is not answered would stay off the air
            _log.exception("%s at %s is refused", block.name, block.daemon)
            responder.fail(error)
        else:
            responder.reply(b'{"value":true}')

    def _resolve(self, conflicts: list[Conflict], override: bool) -> None:
        """Forget what is in the way, as far as that is asked for and allowed.

        Raises:
            CatalogConflict: something stays in the way.
        """
        for conflict, there in zip(conflicts, _are_there(conflicts), strict=True):
            if there:
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
            for name in value if isinstance(value, dict) else ():
                try:
                    store = fold(name, "store")
                except BadName as error:
                    _log.warning("%s:%d has a store that is not asked for: %s", *address, error)
                else:
                    self._ask_about(store, address)

    def _ask_about(self, store: str, address: directory.Address) -> None:
        timeout_s = config.answer_timeout_s()
        answers = directory.ask([address], f"{store}._catalog", timeout_s=timeout_s)
        for value in answers.values.values():
            for fields in value.values() if isinstance(value, dict) else ():
                try:
                    block = Block.from_json(fields)
                except MktlError as error:
                    _log.warning("a block of %s from %s:%d is not used: %s", store, *address, error)
                    continue
                if block.store == store and block.daemon is not None:
                    self._in_turn(block, functools.partial(self._take_in, block))

    def _take_in(self, block: Block) -> None:
        try:
            self._resolve(find_conflicts(block, self._known()), override=False)
        except CatalogConflict as error:
            _log.error("%s at %s is not taken in: %s", block.name, block.daemon, error)
        else:
            self._enter(block)


def _are_there(conflicts: list[Conflict]) -> list[bool]:
    """Return for each of *conflicts* whether the other daemon is there, all asked at once."""
    if not conflicts:
        return []
    most = min(len(conflicts), _MOST_PROBES)
    with ThreadPoolExecutor(most, thread_name_prefix="registry-probe") as pool:
        return list(pool.map(lambda conflict: _is_there(conflict.other), conflicts))


def _is_there(block: Block) -> bool:
    """Return whether the daemon of *block* is still there, and is that daemon.

    It is not if nothing at its address takes or acknowledges a request, or if what answers there
    knows of no such clock. Whatever else it says, however late, it lives.
    """
    origin = block.daemon
    if origin is None or not resolves(origin.hostname):
        return False
    timeout_s = config.answer_timeout_s()
    key = bytes.fromhex(origin.curve) or None
    client = RequestClient(origin.hostname, origin.rep, name=block.name, server_key=key)
    try:
        clock = client.request(GET, f"{block.store}._{block.alias}clk", ack_timeout_s=timeout_s)
        try:
            read_reply(clock, timeout_s)
        except (NoAnswer, ConnectionError):
            return clock.acknowledged
        except MktlError as error:
            return not _of_another_daemon(error)
        return True
    except HandshakeFailed:
        return True  # it does not speak to us, but somebody is there
    except NoAnswer:
        return False
    finally:
        client.close()


def _of_another_daemon(error: MktlError) -> bool:
    """Return whether *error* comes from a daemon that does not have the clock it was asked for."""
    elsewhere = isinstance(error, BadValue) and "this request is for" in str(error)
    return isinstance(error, UnknownKey) or elsewhere


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
