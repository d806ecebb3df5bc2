"""Blocks: what a daemon says about its items, and how blocks make up a store.

A block is what one daemon is authoritative for. Everything in here is pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ._record import field, record, replace
from .errors import BadMessage
from .protocol.message import encode_json
from .protocol.names import fold, is_host

__all__ = ["Block", "Conflict", "Origin", "find_conflicts", "hash_items"]

_KEY = re.compile(r"(?:[0-9a-f]{64})?")
LAST_TIME = 1e12
"""UNIX seconds, long after anything that a clock can show."""


@record
class Origin:
    """One entry of the provenance: who holds the block, or passed it on."""

    stratum: int
    """0 for the daemon itself, counting up with each registry in between."""
    hostname: str
    rep: int
    """Port of its request socket."""
    pub: int | None = None
    """Port of its broadcast socket; only the daemon has one."""
    curve: str = ""
    """Public key of the daemon where its sockets are encrypted: our own addition."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it is asked, whatever its key.

        Who has that port is there, and nobody else: the port for broadcasts was perhaps taken as it
        began anew, and is another one since.
        """
        return self.hostname, self.rep

    def to_json(self) -> dict[str, Any]:
        """Return the fields as they travel."""
        fields: dict[str, Any] = {"stratum": self.stratum, "hostname": self.hostname}
        fields["rep"] = self.rep
        if self.pub is not None:
            fields["pub"] = self.pub
        return {**fields, "curve": self.curve} if self.curve else fields

    @classmethod
    def from_json(cls, fields: object) -> Origin:
        """Return the entry in *fields*.

        Raises:
            BadMessage: it is not one.
        """
        if not isinstance(fields, dict):
            raise BadMessage(f"an entry of the provenance must be an object, not {fields!r:.80}")
        hostname = fields.get("hostname")
        if not is_host(hostname):
            raise BadMessage(f"the provenance names no usable host: {hostname!r:.80}")
        stratum = fields.get("stratum", 0)
        if type(stratum) is not int or stratum < 0:
            raise BadMessage(f"stratum {stratum!r:.80} is not a number from 0 up")
        pub = fields.get("pub")
        curve = fields.get("curve", "")
        if not (isinstance(curve, str) and _KEY.fullmatch(curve)):
            raise BadMessage(f"the provenance has no usable public key: {curve!r:.80}")
        rep = _port(fields.get("rep"))
        return cls(stratum, hostname, rep, None if pub is None else _port(pub), curve)


def _port(value: object) -> int:
    if type(value) is int and 0 < value < 65536:
        return value
    raise BadMessage(f"{value!r:.80} is not a TCP port")


def _time(value: object) -> float:
    if value is None:
        return 0.0
    # What numbers cannot express: a float of JSON may be infinite, an integer may be any.
    if type(value) in (int, float) and abs(value) < LAST_TIME:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    raise BadMessage(f"the time of a block must be UNIX seconds, not {value!r:.80}")


@record
class Block:
    """The items of one daemon."""

    store: str
    alias: str
    """Names the daemon within its store."""
    uuid: str
    """Made once, and kept across restarts."""
    time: float
    """UNIX seconds at which the hash changed last; how fresh the answer is it does not tell."""
    hash: int
    """Changes when the items do."""
    items: dict[str, dict[str, Any]]
    """Descriptions by key."""
    provenance: tuple[Origin, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields that this version does not know."""

    @property
    def name(self) -> str:
        """What to call the daemon: ``store.alias``."""
        return f"{self.store}.{self.alias}"

    @property
    def daemon(self) -> Origin | None:
        """Where the daemon is; ``None`` if the provenance does not say."""
        holding = [origin for origin in self.provenance if origin.pub is not None]
        return min(holding, key=lambda origin: origin.stratum, default=None)

    @property
    def distance(self) -> tuple[bool, int]:
        """How far from its daemon this was got: the less, the more it is to be believed."""
        return self.daemon is None, len(self.provenance)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as they travel."""
        return {
            "store": self.store,
            "alias": self.alias,
            "uuid": self.uuid,
            "time": self.time,
            "hash": self.hash,
            "items": self.items,
            "provenance": [origin.to_json() for origin in self.provenance],
            **self.extra,
        }

    @classmethod
    def from_json(cls, fields: object) -> Block:
        """Return the block in *fields*, keys folded.

        Raises:
            BadMessage: it is not a block.
            BadName: a name in it cannot be used.
        """
        if not isinstance(fields, dict):
            raise BadMessage(f"a block must be an object, not {type(fields).__name__}")
        items, provenance = fields.get("items"), fields.get("provenance", [])
        if not isinstance(items, dict) or not all(isinstance(one, dict) for one in items.values()):
            raise BadMessage("a block must have items, an object of descriptions by key")
        if not isinstance(provenance, list):
            raise BadMessage("the provenance of a block must be a list")
        hash_ = fields.get("hash")
        if type(hash_) is not int:
            raise BadMessage(f"the hash of a block must be an integer, not {hash_!r:.80}")
        known = {"store", "alias", "uuid", "time", "hash", "items", "provenance"}
        return cls(
            store=fold(fields.get("store"), "store"),
            alias=fold(fields.get("alias"), "alias"),
            uuid=fold(fields.get("uuid"), "uuid"),
            time=_time(fields.get("time")),
            hash=hash_,
            items={fold(key, "key"): dict(items[key]) for key in items},
            provenance=tuple(Origin.from_json(entry) for entry in provenance),
            extra={name: fields[name] for name in fields if name not in known},
        )

    def passed_on_by(self, hostname: str, rep: int) -> Block:
        """Return the block as a registry at *hostname* and port *rep* hands it out."""
        stratum = 1 + max((origin.stratum for origin in self.provenance), default=0)
        return replace(self, provenance=(*self.provenance, Origin(stratum, hostname, rep)))


def _address(block: Block) -> tuple[str, int] | None:
    return None if block.daemon is None else block.daemon.address


def hash_items(items: Mapping[str, Mapping[str, Any]]) -> int:
    """Return a number of 128 bits that changes when *items* do, whatever their order."""
    import hashlib  # slow to import, and only daemons need it

    canonical = encode_json({key: _sorted(items[key]) for key in sorted(items)})
    return int.from_bytes(hashlib.blake2b(canonical, digest_size=16).digest(), "big")


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [_sorted(one) for one in value]
    return value


@record
class Conflict:
    """Why two blocks cannot both be true."""

    other: Block
    reason: str
    same_daemon: bool = False
    """Whether it is the same daemon, announced from another address."""


def find_conflicts(block: Block, others: Iterable[Block]) -> list[Conflict]:
    """Return what in *others* stands against accepting *block*.

    A block with the same uuid is the same daemon; it conflicts only where it is held at another
    address, as when a home directory was copied and both copies run.
    """
    conflicts = []
    for other in others:
        if other.store != block.store and other.uuid != block.uuid:
            continue
        reason = _conflict(block, other)
        if reason:
            conflicts.append(Conflict(other, reason, other.uuid == block.uuid))
    return conflicts


def _conflict(block: Block, other: Block) -> str:
    where = "at an unknown address"
    if other.daemon is not None:
        where = f"at {other.daemon.hostname}:{other.daemon.rep}"
    if other.uuid == block.uuid:
        if other.name != block.name:
            return f"the uuid {block.uuid} of {block.name} is that of {other.name} {where}"
        if _address(block) == _address(other):
            return ""
        return f"{other.name} lives {where} already, with the same uuid {other.uuid}"
    if other.alias == block.alias:
        return f"the alias {block.name} is held by another daemon {where} (uuid {other.uuid})"
    shared = sorted(block.items.keys() & other.items.keys())
    if not shared:
        return ""
    shown = ", ".join(shared[:5]) + (f" and {len(shared) - 5} more" if len(shared) > 5 else "")
    return f"{shown} of store {block.store} is held by {other.name} {where}"
