"""Classes that are their fields, as ``dataclasses`` has them, for what a short command imports.

``dataclasses`` compiles code for each class, and imports ``inspect``: that alone would be a third
of the time that ``mark get`` takes beyond Python and ZeroMQ. What only daemons import uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, dataclass_transform

__all__ = ["field", "record", "replace"]

_T = TypeVar("_T")
_REQUIRED: Any = object()


class _Field:
    __slots__ = ("compare", "default", "default_factory", "repr")

    def __init__(
        self,
        default: Any = _REQUIRED,
        default_factory: Callable[[], Any] | None = None,
        compare: bool = True,
        repr: bool = True,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.compare = compare
        self.repr = repr


def field(
    *,
    default: Any = _REQUIRED,
    default_factory: Callable[[], Any] | None = None,
    compare: bool = True,
    repr: bool = True,
) -> Any:
    """Return what to write behind a field instead of its default; see ``dataclasses.field``."""
    return _Field(default, default_factory, compare, repr)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[_T]) -> type[_T]:
    """Return *cls* with a constructor, slots, comparison, and fields that cannot be changed."""
    given = {name: one for name, one in vars(cls).items() if name not in _NOT_WITH_SLOTS}
    fields = {}
    for name in cls.__annotations__:
        default = given.pop(name, _REQUIRED)
        fields[name] = default if isinstance(default, _Field) else _Field(default)
    shown = [name for name, one in fields.items() if one.repr]
    compared = [name for name, one in fields.items() if one.compare]
    methods = {**_with_values(list(fields)), **_compared(compared), "__repr__": _repr(shown)}
    namespace = {"__slots__": tuple(fields), "__match_args__": tuple(fields), **methods, **given}
    made: Any = type(cls.__name__, cls.__bases__, namespace)
    made.__init__ = _init(made, fields)
    found: type[_T] = made
    return found


_NOT_WITH_SLOTS = ("__dict__", "__weakref__")


def replace(one: _T, **changes: Any) -> _T:
    """Return a copy of a record with *changes*."""
    names = type(one).__slots__  # type: ignore[attr-defined]
    return type(one)(**{name: getattr(one, name) for name in names} | changes)


def _init(made: type, fields: dict[str, _Field]) -> Callable[..., None]:
    names = tuple(fields)
    # What object.__setattr__ would look up each time.
    plan = [(name, getattr(made, name).__set__, one) for name, one in fields.items()]

    def __init__(self: object, /, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if args:
            by_place = dict(zip(names, args, strict=False))
            if len(args) > len(names) or not kwargs.keys().isdisjoint(by_place):
                raise TypeError(f"{made.__name__} was given more than its fields, each once")
            kwargs.update(by_place)
        used = 0
        for name, put, one in plan:
            if name in kwargs:
                put(self, kwargs[name])
                used += 1
            else:
                put(self, _default(made, name, one))
        if used != len(kwargs):
            raise TypeError(f"{made.__name__} has no {', '.join(kwargs.keys() - fields.keys())}")

    return __init__


def _default(made: type, name: str, its: _Field) -> Any:
    if its.default_factory is not None:
        return its.default_factory()
    if its.default is _REQUIRED:
        raise TypeError(f"{made.__name__} needs a {name}")
    return its.default


def _with_values(names: list[str]) -> dict[str, Any]:
    """Return what has to do with all the values: for copies, and against changes."""

    def __getstate__(self: object) -> list[Any]:  # noqa: N807
        return [getattr(self, name) for name in names]

    def __setstate__(self: object, state: list[Any]) -> None:  # noqa: N807
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    def refuse(self: object, name: str, *_value: object) -> NoReturn:
        raise AttributeError(f"the field {name!r} of a {type(self).__name__} cannot be changed")

    copies = {"__getstate__": __getstate__, "__setstate__": __setstate__}
    return {**copies, "__setattr__": refuse, "__delattr__": refuse}


def _compared(names: list[str]) -> dict[str, Any]:
    def values(one: object) -> tuple[Any, ...]:
        return tuple([getattr(one, name) for name in names])

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return values(self) == values(other) if type(self) is type(other) else NotImplemented

    return {"__eq__": __eq__, "__hash__": lambda self: hash(values(self))}


def _repr(names: list[str]) -> Callable[[object], str]:
    def __repr__(self: object) -> str:  # noqa: N807
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__
