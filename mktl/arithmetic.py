"""An item takes part in comparisons, sums and formatting as its value does."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

__all__ = ["ActsAsValue"]


def _plain(other: Any) -> Any:
    return other.value if isinstance(other, ActsAsValue) else other


def _forward(operation: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: ActsAsValue, other: Any) -> Any:
        return operation(self.value, _plain(other))

    return method


def _reflected(operation: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: ActsAsValue, other: Any) -> Any:
        return operation(other, self.value)

    return method


def _in_place(operation: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: ActsAsValue, other: Any) -> ActsAsValue:
        self.value = operation(self.value, _plain(other))
        return self

    return method


def _unary(operation: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: ActsAsValue) -> Any:
        return operation(self.value)

    return method


class ActsAsValue:
    """The operators of whatever has a ``value``. Those that end in ``=`` set it.

    An object of this kind stays usable as a key of a dictionary: its hash is its identity.
    """

    value: Any

    __hash__ = object.__hash__

    __eq__ = _forward(operator.eq)
    __ne__ = _forward(operator.ne)
    __lt__ = _forward(operator.lt)
    __le__ = _forward(operator.le)
    __gt__ = _forward(operator.gt)
    __ge__ = _forward(operator.ge)

    __add__, __radd__, __iadd__ = (way(operator.add) for way in (_forward, _reflected, _in_place))
    __sub__, __rsub__, __isub__ = (way(operator.sub) for way in (_forward, _reflected, _in_place))
    __mul__, __rmul__, __imul__ = (way(operator.mul) for way in (_forward, _reflected, _in_place))
    __pow__, __rpow__, __ipow__ = (way(operator.pow) for way in (_forward, _reflected, _in_place))
    __mod__, __rmod__, __imod__ = (way(operator.mod) for way in (_forward, _reflected, _in_place))
    __truediv__, __rtruediv__, __itruediv__ = (
        way(operator.truediv) for way in (_forward, _reflected, _in_place)
    )
    __floordiv__, __rfloordiv__, __ifloordiv__ = (
        way(operator.floordiv) for way in (_forward, _reflected, _in_place)
    )
    __and__, __rand__, __iand__ = (way(operator.and_) for way in (_forward, _reflected, _in_place))
    __or__, __ror__, __ior__ = (way(operator.or_) for way in (_forward, _reflected, _in_place))
    __xor__, __rxor__, __ixor__ = (way(operator.xor) for way in (_forward, _reflected, _in_place))
    __lshift__, __rlshift__, __ilshift__ = (
        way(operator.lshift) for way in (_forward, _reflected, _in_place)
    )
    __rshift__, __rrshift__, __irshift__ = (
        way(operator.rshift) for way in (_forward, _reflected, _in_place)
    )

    __neg__ = _unary(operator.neg)
    __pos__ = _unary(operator.pos)
    __abs__ = _unary(abs)
    __invert__ = _unary(operator.invert)
    __bool__ = _unary(bool)
    __int__ = _unary(int)
    __float__ = _unary(float)
    __complex__ = _unary(complex)
    __index__ = _unary(operator.index)
    __len__ = _unary(len)
    __str__ = _unary(str)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.value, digits)

    def __format__(self, specification: str) -> str:
        return format(self.value, specification)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __contains__(self, member: Any) -> bool:
        return member in self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        array = np.asarray(self.value, dtype=dtype)
        return array.copy() if copy else array
