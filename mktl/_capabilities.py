"""What the class of an item can do, found out from what it overrides."""

from __future__ import annotations

import functools
import logging
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ._reference_names import ReferenceNames
from .description import Description
from .payload import Payload

if TYPE_CHECKING:
    from .controllers import TurnKind
    from .item import Item

__all__ = [
    "answers_plainly",
    "confirmed",
    "makes_payloads",
    "prioritised",
    "reads_hardware",
    "settled",
    "writes_hardware",
]

_log = logging.getLogger(__name__)


def reads_hardware(item: Item) -> bool:
    """Return whether *item* has code that finds out its value."""
    kind: Any = type(item)
    return _class_reads(kind) or item._get_performer is not None


@functools.cache
def _class_reads(kind: type[Any]) -> bool:
    from .item import Item

    return bool(
        kind.req_refresh is not Item.req_refresh
        or kind.perform_get is not ReferenceNames.perform_get
    )


def answers_plainly(item: Item) -> bool:
    """Return whether *item* leaves it to its daemon how a GET is answered."""
    from .item import Item

    return type(item).req_get is Item.req_get


def writes_hardware(item: Item) -> bool:
    """Return whether *item* has code that carries out a SET."""
    from .item import Item

    kind = type(item)
    return (
        kind.req_set is not Item.req_set
        or kind.perform_set is not ReferenceNames.perform_set
        or bool(item._set_performers)
    )


def makes_payloads(item: Item) -> bool:
    """Return whether *item* turns values into payloads in its own way."""
    return type(item).to_payload is not ReferenceNames.to_payload


def confirmed(value: Any, item: Item) -> Payload:
    """Return what ``req_refresh`` of *item* has returned as what the hardware has confirmed."""
    now = time.time()
    if isinstance(value, Payload):
        payload = value
    elif makes_payloads(item):
        payload = item.payload_of(value)
    else:
        return Payload(value, now, checked=now)
    return payload if payload.checked is not None else payload.having(checked=now)


def settled(description: Description, item: Item) -> Description:
    """Return *description*, or one that does not promise what *item* cannot do."""
    if not description.settable or not reads_hardware(item) or writes_hardware(item):
        return description
    fields = description.to_json()
    if fields.setdefault("settable", False):
        _log.warning(
            "%s is described as settable, but its class only reads: SETs are refused",
            item.full_key,
        )
        fields["settable"] = False
    return Description.from_json(item.key, fields)


def prioritised(item: Item, kind: TurnKind) -> AbstractContextManager[None]:
    """Return a context in which this thread speaks to the item's controller with that priority."""
    set_priority = getattr(item.controller, "prioritised", None)
    return nullcontext() if set_priority is None else set_priority(kind)
