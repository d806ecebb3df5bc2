"""Where stores are: the blocks that were cached, and the registries that know more.

A client looks for registries only when what it has cached does not do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import config
from ._log import Log
from .catalog import Block
from .errors import (
    BadName,
    ConfigurationError,
    ConnectionLost,
    MktlError,
    NoAnswer,
    UnknownStore,
)
from .protocol.message import GET, Response, decode_json, encode_json
from .protocol.names import fold
from .replies import read_reply, read_response
from .transport.client import RequestClient
from .transport.hosts import parse_address
from .transport.many import Address, ask_all
from .trust import key_at

__all__ = [
    "Address",
    "ask_catalog",
    "cached_blocks",
    "cached_stores",
    "call_daemons",
    "call_registries",
    "discover",
    "find",
    "forget",
    "forget_registries",
    "identify",
    "known_registries",
    "remember",
    "remember_registries",
]

CALL_WAIT_S = 0.5
"""How long to wait for answers to a call."""

_MOST_WRONG_LINES = 3

_log = Log(__name__)


def _cache(store: str) -> Path:
    return config.home() / "client" / "cache" / store


def cached_blocks(store: str) -> list[Block]:
    """Return what is cached of *store*, oldest first. A file that is none is left alone."""
    blocks = []
    for path in sorted(_cache(store).glob("*.json")):
        try:
            block = Block.from_json(decode_json(path.read_bytes()))
        except (OSError, MktlError) as error:
            _log.warning("%s is not used: %s", path, error)
            continue
        if block.store == store:
            blocks.append(block)
    return sorted(blocks, key=lambda block: block.time)


def cached_stores() -> list[str]:
    """Return the names of the stores of which something is cached, sorted."""
    try:
        return sorted(path.name for path in _cache("").iterdir() if any(path.glob("*.json")))
    except OSError:
        return []


def remember(store: str, blocks: Iterable[Block]) -> None:
    """Write *blocks* to the cache. That it cannot be written costs speed, nothing else."""
    for block in blocks:
        data = encode_json(block.to_json())
        path = _cache(store) / f"{block.uuid}.json"
        try:
            if not path.exists() or path.read_bytes() != data:
                config.write_atomically(path, data)
        except OSError as error:
            _log.warning("%s was not cached: %s", path, error)


def forget(store: str, uuid: str) -> None:
    """Take a block out of the cache."""
    with contextlib.suppress(OSError):
        (_cache(store) / f"{uuid}.json").unlink()


class Answers:
    """What a number of peers answered."""

    def __init__(self, values: dict[Address, Any] | None = None) -> None:
        self.values: dict[Address, Any] = {} if values is None else values
        self.failures: dict[Address, MktlError] = {}


def ask(
    addresses: Iterable[Address], target: str, *, timeout_s: float, registries: bool = False
) -> Answers:
    """Ask all *addresses* at the same time for *target*, and return what they answer.

    Args:
        addresses: Request sockets of daemons or registries.
        target: A built-in such as ``cryo._catalog``.
        timeout_s: For the connection, and once more for the reply; all are waited for together.
        registries: All are registries: those speak in clear text, also where daemons do not.
    """
    outcomes = ask_all(
        addresses,
        GET,
        target,
        patience_s=lambda _address: timeout_s,
        reply_timeout_s=timeout_s,
        server_key=None if registries else key_at,
    )
    answers = Answers()
    for address, outcome in outcomes.items():
        try:
            answers.values[address] = _value_of(outcome)
        except MktlError as error:
            answers.failures[address] = error
    return answers


def _value_of(outcome: Response | MktlError) -> Any:
    if isinstance(outcome, MktlError):
        raise outcome
    return read_response(outcome).value


def ask_catalog(
    store: str, addresses: Iterable[Address], *, timeout_s: float, registries: bool = False
) -> tuple[list[Block], dict[Address, MktlError]]:
    """Return the blocks of *store* that *addresses* know, and who failed to answer.

    Where two know the same block, that of the daemon itself is taken, or else the one that was
    passed on the fewest times, or else the one that changed last.
    """
    answers = ask(addresses, f"{store}._catalog", timeout_s=timeout_s, registries=registries)
    blocks: dict[str, Block] = {}
    for address, value in answers.values.items():
        for block in _read_blocks(store, address, value):
            known = blocks.setdefault(block.uuid, block)
            if (block.distance, -block.time) < (known.distance, -known.time):
                blocks[block.uuid] = block
    return list(blocks.values()), answers.failures


def _read_blocks(store: str, address: Address, value: object) -> list[Block]:
    if not isinstance(value, dict):
        return []
    blocks = []
    for fields in value.values():
        try:
            block = Block.from_json(fields)
        except MktlError as error:  # of this one alone: the others are as good as before
            _log.warning("a block of %s from %s:%d is not used: %s", store, *address, error)
            continue
        if block.store == store:
            blocks.append(block)
    return blocks


def identify(client: RequestClient, block: Block, *, timeout_s: float) -> Block | None:
    """Ask whoever is at the other end of *client* whether it is the daemon of *block*.

    Returns:
        The block, renewed if it has changed; ``None`` if it is another daemon.

    Raises:
        NoAnswer, ConnectionLost: there is no answer.
    """
    try:
        request = client.request(GET, f"{block.store}._hash", ack_timeout_s=timeout_s)
        hash_ = read_reply(request, timeout_s).value[block.store][block.uuid]
        if hash_ == block.hash:
            return block
        reply = client.request(GET, f"{block.store}._catalog", ack_timeout_s=timeout_s)
        value = read_reply(reply, timeout_s).value
    except (NoAnswer, ConnectionLost):
        raise
    except (MktlError, KeyError, TypeError) as error:  # what one of another store may say
        _log.debug("%s is not %s: %s", client.peer, block.name, error)
        return None
    renewed = _read_blocks(block.store, (client.host, client.port), value)
    return next((one for one in renewed if one.uuid == block.uuid), None)


# Registries.


def _registries_by_hand() -> Path:
    return config.home() / "client" / "registries"


def _registries_found() -> Path:
    return config.home() / "client" / "registries.cache"


def _read_addresses(path: Path) -> list[Address]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("%s is not used: %s", path, error)
        return []
    addresses, wrong = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            addresses.append(parse_address(entry))
        except ConfigurationError as error:
            wrong += 1
            if wrong <= _MOST_WRONG_LINES:
                _log.warning("%s, line %d: %s", path, number, error)
    if wrong > _MOST_WRONG_LINES:
        _log.warning("%s: %d lines in all are no addresses", path, wrong)
    return addresses


def known_registries() -> list[Address]:
    """Return the addresses given by hand, and then those found before."""
    by_hand, found = _read_addresses(_registries_by_hand()), _read_addresses(_registries_found())
    return list(dict.fromkeys([*by_hand, *found]))


def remember_registries(addresses: Iterable[Address]) -> None:
    """Add *addresses* to those found; the newest first, and not without end."""
    known = _read_addresses(_registries_found())
    wanted = list(dict.fromkeys([*addresses, *known]))[:20]
    if wanted != known:
        _write_found(wanted)


def _write_found(addresses: Iterable[Address]) -> None:
    lines = "".join(f"{host}:{port}\n" for host, port in addresses)
    try:
        config.write_atomically(_registries_found(), lines.encode())
    except OSError as error:
        _log.warning("%s was not written: %s", _registries_found(), error)


def forget_registries(failures: Mapping[Address, MktlError]) -> None:
    """Strike from those found the ones that were silent, as others answered in their place.

    Those given by hand stay.
    """
    silent = {
        one for one, error in failures.items() if isinstance(error, (NoAnswer, ConnectionLost))
    }
    known = _read_addresses(_registries_found())
    if silent.intersection(known):
        _log.info(
            "registries that are silent are forgotten: %s", _shown(silent.intersection(known))
        )
        _write_found([one for one in known if one not in silent])


def _shown(addresses: Iterable[Address]) -> str:
    return ", ".join(f"{host}:{port}" for host, port in addresses)


def call_registries(*, wait_s: float = CALL_WAIT_S, first_only: bool = False) -> list[Address]:
    """Call for registries and return where they are."""
    from .transport import beacon

    return beacon.call(config.registry_discovery_port(), wait_s=wait_s, first_only=first_only)


def call_daemons(*, wait_s: float = CALL_WAIT_S) -> list[Address]:
    """Call for daemons and return where they are."""
    from .transport import beacon

    return beacon.call(config.daemon_discovery_port(), wait_s=wait_s)


def find(store: str, *, at: Address | None, timeout_s: float) -> list[Block]:
    """Return the blocks of *store* from whoever knows them, the cache excepted.

    Asked are *at*, if given, and nobody else; or the registries that are known; or, if those know
    nothing, a registry that answers a call; or, if none does, the daemons that answer one.

    Raises:
        UnknownStore: somebody answered, but does not know the store.
        NoAnswer: nobody answered at all.
    """
    if at is not None:
        blocks, failures = ask_catalog(store, [at], timeout_s=timeout_s)
        if blocks:
            return blocks
        if isinstance(failures.get(at), NoAnswer):
            raise failures[at]
        raise UnknownStore(f"{at[0]}:{at[1]} does not know a store {store!r}")
    asked: list[str] = []
    answered = False
    silent: dict[Address, MktlError] = {}
    for what, search in (
        ("registries known", known_registries),
        ("registries called", lambda: call_registries(first_only=True)),
        ("daemons called", call_daemons),
    ):
        addresses = search()
        blocks, failures = ask_catalog(
            store, addresses, timeout_s=timeout_s, registries=what.startswith("registries")
        )
        if what == "registries known":
            silent = failures
        if blocks and what == "registries called":
            remember_registries(addresses)
        if blocks:
            forget_registries(silent)
            return blocks
        answered |= any(not isinstance(failures.get(one), NoAnswer) for one in addresses)
        asked.append(f"{what}: {_shown(addresses) or 'none'}")
    details = f"({'; '.join(asked)})"
    if answered:
        raise UnknownStore(f"no store {store!r} is known {details}")
    raise NoAnswer(
        f"nobody answered who might know the store {store!r} {details}. Is its daemon or a "
        "registry running? An address can be given by hand: mark --at HOST:PORT"
    )


def discover(*addresses: str) -> list[str]:
    """Find registries and return the names of the stores that they know, sorted.

    The registries are remembered, and so is what they know.

    Args:
        addresses: Where registries are, as ``host:port``; without any, whoever answers a call.

    Raises:
        NoAnswer: no registry answered.
        ConfigurationError: an address is none.
    """
    found = [parse_address(address) for address in addresses]
    if not found:
        found = list(dict.fromkeys([*known_registries(), *call_registries()]))
    registries = not addresses
    answers = ask(found, "_hash", timeout_s=config.answer_timeout_s(), registries=registries)
    silent = answers.failures
    if not answers.values and not addresses:
        # No registry at all: a laptop and a box need none.
        registries = False
        answers = ask(call_daemons(), "_hash", timeout_s=config.answer_timeout_s())
    else:
        remember_registries(answers.values)
    if answers.values:
        forget_registries(silent)
    if not answers.values:
        asked = _shown(found) or "a call on the network"
        raise NoAnswer(f"no registry and no daemon answered to {asked}")
    stores: set[str] = set()
    for address, value in answers.values.items():
        for name in value if isinstance(value, dict) else ():
            try:
                stores.add(fold(name, "store"))
            except BadName as error:
                _log.warning("%s:%d has a store that is left out: %s", *address, error)
    for store in stores:
        blocks, _failures = ask_catalog(
            store,
            answers.values,
            timeout_s=config.answer_timeout_s(),
            registries=registries,
        )
        remember(store, blocks)
    return sorted(stores)
