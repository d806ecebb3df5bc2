"""Arrays as bytes: C order and little-endian on the wire, shape and dtype beside them.

numpy is imported by the first array and not before: most clients never see one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import BadMessage, WrongType

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DTYPES", "decode", "encode", "is_array"]

DTYPES = {
    "bool": 1,
    **{f"{sign}int{8 * size}": size for sign in ("", "u") for size in (1, 2, 4, 8)},
    "float16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}
"""Names of the dtypes that may travel, and bytes per element."""

MOST_DIMENSIONS = 32


def is_array(value: object) -> bool:
    """Return whether *value* is a numpy array, without importing numpy to find out."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def encode(array: np.ndarray[Any, Any]) -> tuple[dict[str, Any], memoryview]:
    """Return the payload fields and the bytes that describe *array*.

    The bytes share memory with *array* where its layout is that of the wire.

    Raises:
        WrongType: its dtype cannot travel (``object``, text, dates, records).
    """
    import numpy as np

    name = array.dtype.name
    if name not in DTYPES:
        allowed = ", ".join(DTYPES)
        raise WrongType(f"an array of dtype {name!r} cannot be sent; allowed are {allowed}")
    fields: dict[str, Any] = {"shape": list(array.shape), "dtype": name}
    if _is_big_endian(array.dtype):
        fields["order"] = ">"
        array = array.astype(array.dtype.newbyteorder("<"))
    flat = np.ascontiguousarray(array).reshape(-1)
    return fields, memoryview(flat.view(np.uint8).data if flat.size else b"")


def _is_big_endian(dtype: np.dtype[Any]) -> bool:
    return dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big")


def decode(fields: Mapping[str, Any], data: bytes | memoryview | None) -> np.ndarray[Any, Any]:
    """Return the array that *fields* (a payload) and *data* (the bulk frame) describe.

    The array is read-only and shares the memory of *data*; take a ``.copy()`` to change it.

    Raises:
        BadMessage: shape, dtype and number of bytes do not belong together. Nothing is allocated
            for what the fields merely claim.
    """
    shape, name = fields.get("shape"), fields.get("dtype")
    size = 0 if data is None else len(data)
    if shape is None and name is None:
        shape, name = [size], "uint8"
    if not isinstance(name, str) or name not in DTYPES:
        allowed = ", ".join(DTYPES)
        raise BadMessage(f"bulk data of dtype {str(name)[:40]!r} is refused; allowed are {allowed}")
    if not _is_shape(shape):
        raise BadMessage(f"bulk data has no usable shape: {str(shape)[:80]}")
    assert isinstance(shape, list)
    expected = math.prod(shape) * DTYPES[name]
    if expected != size:
        raise BadMessage(
            f"bulk data of shape {shape} and dtype {name} takes {expected} bytes, but {size} came"
        )
    import numpy as np

    flat = np.frombuffer(data or b"", dtype=np.dtype(name).newbyteorder("<"))
    try:
        array = flat.reshape(shape)
    except ValueError as error:  # nothing times more than there can be
        raise BadMessage(f"bulk data has no usable shape: {str(shape)[:80]}") from error
    if fields.get("order") == ">":
        array = array.astype(array.dtype.newbyteorder(">"))
    elif sys.byteorder == "little":
        array = array.view(np.dtype(name))
    array.flags.writeable = False
    return array


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) <= MOST_DIMENSIONS
        and all(type(extent) is int and 0 <= extent < 2**63 for extent in shape)
    )
