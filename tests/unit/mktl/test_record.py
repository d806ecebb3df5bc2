"""Records: what they promise, beside the dataclasses that they stand for."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from mktl._record import field, record, replace


@record
class Point:
    """A place."""

    x: float
    """To the right."""
    y: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)
    origin: str = field(default="map", compare=False, repr=False)

    def moved(self, by: float) -> Point:
        """Return another place."""
        return replace(self, x=self.x + by)

    @property
    def both(self) -> tuple[float, float]:
        """The coordinates."""
        return self.x, self.y

    @classmethod
    def zero(cls) -> Point:
        """Return the place in the corner."""
        return cls(0.0)


@record
class Size:
    """Two numbers that can be hashed."""

    x: float
    y: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """What Python makes of the same fields."""

    x: float
    y: float = 0.0
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    origin: str = dataclasses.field(default="map", compare=False, repr=False)


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        ((1,), {}),
        ((1, 2), {}),
        ((1, 2, {"a": 1}, "gps"), {}),
        ((), {"x": 1, "notes": {"a": 1}}),
        ((1,), {"origin": "gps", "y": 5}),
    ],
)
def test_a_record_holds_shows_and_compares_what_a_dataclass_would(
    args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    ours, theirs = Point(*args, **fields), Twin(*args, **fields)
    for name in ("x", "y", "notes", "origin"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert repr(ours) == repr(theirs).replace("Twin", "Point")
    for other in (Point(1), Point(1, 2), Point(1, notes={"a": 1}), Point(1, origin="other")):
        twin = Twin(other.x, other.y, other.notes, other.origin)
        assert (ours == other) is (theirs == twin)


@pytest.mark.parametrize(
    ("args", "fields"),
    [((), {}), ((), {"y": 1}), ((1, 2, {}, "a", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1})],
)
def test_what_does_not_fit_the_fields_is_refused(
    args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    for made in (Point, Twin):
        with pytest.raises(TypeError):
            made(*args, **fields)


def test_methods_properties_and_documentation_stay() -> None:
    assert Point.zero().moved(2).both == (2, 0)
    assert Point.__doc__ == "A place."
    assert Point.__module__ == __name__
    assert Point.__qualname__ == "Point"


def test_each_record_has_a_default_of_its_own() -> None:
    one, other = Point(1), Point(1)
    one.notes["seen"] = True
    assert other.notes == {}


def test_a_record_cannot_be_changed_and_has_no_room_for_more() -> None:
    point = Point(1)
    for change in (
        lambda: setattr(point, "x", 2),
        lambda: setattr(point, "z", 2),
        lambda: delattr(point, "x"),
    ):
        with pytest.raises(AttributeError, match="cannot be changed"):
            change()
    assert not hasattr(point, "__dict__")
    assert point.x == 1


def test_a_copy_has_the_changes_and_the_rest() -> None:
    assert replace(Point(1, 2, {"a": 1}), y=3) == Point(1, 3, {"a": 1})
    with pytest.raises(TypeError):
        replace(Point(1), z=3)


def test_records_are_hashed_by_what_is_compared() -> None:
    assert {Size(1): "a"}[Size(1.0, 0)] == "a"
    assert Size(1) != Twin(1)
    assert Size(1) != (1, 0.0)
    with pytest.raises(TypeError):
        hash(Point(1))


def test_a_record_can_be_copied_and_pickled() -> None:
    point = Point(1, notes={"a": [1]})
    deep = copy.deepcopy(point)
    assert copy.copy(point) == deep == pickle.loads(pickle.dumps(point)) == point
    assert deep.notes["a"] is not point.notes["a"]


def test_records_can_be_taken_apart_by_a_match() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
