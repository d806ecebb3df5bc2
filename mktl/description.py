"""What an item is: its type, units, format, names and bounds, and what follows from them.

A :class:`Description` is made from the JSON of a catalog or of an instrument file, and given back
unchanged. It says which values a SET may ask for, and turns values into text and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from . import _fields, formats, units
from ._fields import FieldReader, ItemType
from ._numbers import brief
from ._record import field, record
from ._values import COERCE, VALIDATE, is_number, plain
from .errors import BadUnits, BadValue, MktlError, UnknownKey, WrongType
from .formats import Formatter, Names, SexagesimalFormat

__all__ = ["Description", "ItemType"]

_Result = TypeVar("_Result")

_NUMBERS = ("numeric", "numeric array")
_NAMED = ("boolean", "enumerated", "mask")
_NO_NAMES = Names(MappingProxyType({}))
_TRUTH_NAMES = {0: "False", 1: "True"}
_LARGE = 1e300
"""Numbers below this are finite, and floats can hold them."""
_OPEN = (None, None)


@record
class Description:
    """What is known of an item beforehand. Make it with :meth:`from_json`."""

    key: str
    """The item's key, without its store; the texts of errors begin with it."""
    description: str = ""
    """What the item is, for people."""
    type: ItemType | None = None
    """The type of its values; without one it takes anything that JSON can carry."""
    stored_units: str = ""
    """Units of the values themselves, on the wire and in ``range`` and ``limits``."""
    shown_units: str = ""
    """Units of formatted text; the same as the stored ones unless told otherwise."""
    format: str | None = None
    """How numbers print: printf-like (``%.3f``), or sexagesimal (``%02d:%02d:%04.1f``)."""
    initial: Any = field(default=None, compare=False)
    """The value at the start; ``None`` if there is none."""
    persist: bool = False
    """Whether the value outlives the daemon."""
    gettable: bool = True
    """Whether it may be read."""
    settable: bool = True
    """Whether it may be set."""
    enumerators: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """The text of each value; for a mask, of each bit. A boolean always has both."""
    zero_text: str | None = None
    """For a mask: the text for no bit at all."""
    range: tuple[float | None, float | None] | None = None
    """What a SET may ask for, in stored units, both ends included; ``None`` is an open side."""
    limits: Mapping[str, Any] | None = None
    """``warning`` and ``alarm`` as pairs in stored units, or as states of an item with names;
    ``hysteresis``, ``delay_s`` and ``latch``."""
    deadband: float | None = None
    """Smallest change, in stored units, that is published."""
    tracks: Mapping[str, Any] | None = None
    """The ``item`` whose value this one follows, ``tolerance``, ``within_s`` and ``latch``."""
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Fields that mean nothing to this version."""
    source: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """The description as it came; what :meth:`to_json` gives back."""
    formatter: Formatter | None = field(default=None, repr=False, compare=False)
    """``format``, understood; ``None`` without one, or for a type that does not use it."""
    names: Names = field(default=_NO_NAMES, repr=False, compare=False)
    """``enumerators`` and ``zero_text``, for matching."""

    @classmethod
    def from_json(
        cls, key: str, fields: Mapping[str, Any], *, lenient: bool = False
    ) -> Description:
        """Understand a description.

        Args:
            key: The item's key.
            fields: The description as decoded from JSON, TOML or a Python literal.
            lenient: For a stranger's description. A field that is wrong is taken for one that was
                left out; without a usable type the item is untyped.

        Raises:
            BadItemDescription: a field is wrong, or contradicts another (not if *lenient*).
        """
        if not isinstance(fields, Mapping):
            if not lenient:
                reader = FieldReader(key, {}, lenient=False)
                raise reader.refusal("as a whole", f"must be a mapping, not {brief(fields)}")
            fields = {}
        reader = FieldReader(key, fields, lenient=lenient)
        source = {
            str(name): reader.read(name, _fields.copied, value) for name, value in fields.items()
        }
        found = _read_type(reader)
        made = cls(
            key=key,
            description=reader.read("description", _fields.check_text, ""),
            persist=reader.read("persist", _fields.check_flag, False),
            gettable=reader.read("gettable", _fields.check_flag, True),
            settable=reader.read("settable", _fields.check_flag, True),
            limits=reader.read(
                "limits",
                partial(_fields.check_limits, item_type=found["type"], names=found["names"]),
            ),
            deadband=reader.read("deadband", _fields.check_not_negative),
            tracks=reader.read("tracks", _fields.check_tracks),
            extra=_fields.frozen(
                {name: source[name] for name in source if name not in _fields.KNOWN_FIELDS}
            ),
            source=MappingProxyType(source),
            initial=source.get("initial"),
            **found,
        )
        if not lenient:
            made._adopt_initial(reader)
        return made

    def to_json(self) -> dict[str, Any]:
        """Return the description as it came: same fields, same order, nothing added."""
        copy: dict[str, Any] = _fields.copied(self.source)
        return copy

    def validate(self, value: Any) -> Any:
        """Return *value*, as a SET asks for it, as it is to be stored.

        Numbers may come as text, and booleans, enumerated values and masks as their texts.

        Args:
            value: In stored units, as decoded from JSON or given in Python.

        Raises:
            WrongType: a value of another kind, such as ``null`` for any item that has a type.
            UnknownKey: a text, a number or bits that the enumerators do not have.
            BadValue: outside ``range``, not finite, or text that is not a number.
        """
        if self.type != "bulk":
            value = plain(value)
        checked = self._named(lambda: VALIDATE[self.type](value, self.names))
        if self.range is not None:
            self._check_range(checked)
        return checked

    def coerce(self, value: Any) -> Any:
        """Return *value*, as a daemon has it from its hardware, as it is to be published.

        What is out of range, or has no enumerator, is kept: it is the truth. ``None`` stays
        ``None``; infinity and not-a-number, which JSON does not have, become ``None``.

        Raises:
            WrongType, UnknownKey, BadValue: it cannot be a value of this type at all.
        """
        if value is None:
            return None
        if self.type == "numeric" and type(value) in (float, int) and -_LARGE < value < _LARGE:
            return value  # what most readings are
        if self.type != "bulk":
            value = plain(value)
        return self._named(lambda: COERCE[self.type](value, self.names))

    def to_text(self, value: Any, units: str | None = None) -> str:
        """Return the formatted form of a stored value.

        Never refuses a value, whatever a peer has published; ``None`` prints as ``null``.

        Args:
            value: In stored units.
            units: Show a number in these units instead, to 12 digits rather than by ``format``
                (which stays if it is sexagesimal and they are hours or degrees).

        Raises:
            BadUnits, ConfigurationError: the units cannot be converted.
        """
        value = plain(value) if self.type != "bulk" else value
        if value is None:
            return formats.NULL_TEXT
        if self.type in _NUMBERS:
            formatter = self._formatter_for(units)
            return formats.array_to_text(self.to_shown(value, units), formatter)
        if self.type == "bulk":
            return formats.bulk_to_text(value)
        if self.type in _NAMED and isinstance(value, int):
            if self.type == "mask":
                return formats.mask_to_text(value, self.names)
            return self.enumerators.get(int(value), str(value))
        return formats.json_text(value)

    def from_text(self, text: str, units: str | None = None) -> Any:
        """Return the stored value that *text* denotes; the inverse of :meth:`to_text`.

        The value may still be one that :meth:`validate` refuses, by its range above all.

        Args:
            text: As :meth:`to_text` prints it, or as people write it.
            units: The units of a number in *text*, if not the shown ones.

        Raises:
            UnknownKey: a text that no enumerator has; lists all, suggests the nearest.
            BadValue: not a number, not an array, not in the sexagesimal form.
            WrongType: a bulk item, which has no text.
            BadUnits, ConfigurationError: the units cannot be converted.
        """
        if self.type in _NUMBERS:
            number = self._named(lambda: self._numbers_from_text(text, units))
            return self.from_shown(number, units)
        if self.type in _NAMED:
            return self._named(lambda: self._named_value(text))
        if self.type == "bulk":
            raise WrongType(f"{self.key} is bulk data: it cannot be given as text")
        return text

    def to_shown(self, value: Any, units: str | None = None) -> Any:
        """Convert numbers from stored units to *units*, or to the shown ones.

        What is not a number, or a list of numbers, comes back as it is.

        Raises:
            BadUnits, ConfigurationError: the units cannot be converted.
        """
        target = self.shown_units if units is None else units
        return self._converted(value, self.stored_units, target)

    def from_shown(self, value: Any, units: str | None = None) -> Any:
        """Convert numbers from *units*, or from the shown ones, to stored units.

        Raises:
            BadUnits, ConfigurationError: the units cannot be converted.
        """
        source = self.shown_units if units is None else units
        return self._converted(value, source, self.stored_units)

    def shown_unit_label(self, units: str | None = None) -> str:
        """Return what stands behind the formatted value: *units*, or the shown ones; or nothing."""
        return self.shown_units if units is None else units

    def _converted(self, value: Any, from_units: str, to_units: str) -> Any:
        if from_units == to_units or self.type not in _NUMBERS or not _all_numbers(value):
            return value
        try:
            return units.convert(value, from_units, to_units)
        except BadUnits as error:
            raise BadUnits(f"{self.key}: {error}") from error

    def _formatter_for(self, other_units: str | None) -> Formatter | None:
        if other_units is None or other_units == self.shown_units:
            return self.formatter
        if isinstance(self.formatter, SexagesimalFormat) and units.sexagesimal_unit(other_units):
            return self.formatter
        # The item's own number of places would cut off digits: millimetres, say, in metres.
        return formats.NumberFormat("%.12g")

    def _numbers_from_text(self, text: str, other_units: str | None) -> Any:
        formatter = self._formatter_for(other_units)
        shown = self.shown_units if other_units is None else other_units

        def read(part: str) -> Any:
            if isinstance(formatter, SexagesimalFormat):
                return formatter.from_text(part, units.sexagesimal_unit(shown))
            return formats.parse_number(part) if formatter is None else formatter.from_text(part)

        return read(text) if self.type == "numeric" else formats.array_from_text(text, read)

    def _named_value(self, text: str) -> Any:
        if self.type == "mask":
            return formats.mask_from_text(text, self.names)
        found = self.names.find(text)
        if found is None:
            # A number is taken for one without a text too: it is what to_text prints for it.
            digits = text.strip()
            number = digits.removeprefix("-")
            if self.type == "enumerated" and number.isdecimal() and len(number) <= 20:
                return int(digits)
            return VALIDATE[self.type](text, self.names)
        return bool(found) if self.type == "boolean" else found

    def _named(self, check: Callable[[], _Result]) -> _Result:
        """Run *check*, and put the key in front of the predicate that is its error's text."""
        try:
            return check()
        except (BadValue, WrongType, UnknownKey) as error:
            raise type(error)(f"{self.key} {error}") from None

    def _check_range(self, value: Any) -> None:
        if isinstance(value, list):
            for element in value:
                self._check_range(element)
            return
        low, high = self.range or _OPEN
        if (low is None or value >= low) and (high is None or value <= high):
            return
        raise BadValue(f"{self.key} must be {self._bounds_text()}, not {self._in_units(value, '')}")

    def _bounds_text(self) -> str:
        low, high = self.range or _OPEN
        if low is not None and high is not None:
            if self.stored_units == self.shown_units:
                return f"within {low} to {high} {self.stored_units}".rstrip()
            shown = self._in_shown(low), self._in_shown(high)
            text = f"within {low} to {high} {self.stored_units}".rstrip()
            return f"{text} ({shown[0]} to {shown[1]} {self.shown_units})" if all(shown) else text
        if low is not None:
            return f"at least {self._in_units(low, self.stored_units)}"
        return f"at most {self._in_units(high, self.stored_units)}"

    def _in_units(self, value: Any, label: str) -> str:
        text = f"{value} {label}".rstrip()
        shown = "" if self.stored_units == self.shown_units else self._in_shown(value)
        return f"{text} ({shown} {self.shown_units})" if shown else text

    def _in_shown(self, value: Any) -> str:
        """Return *value* in shown units; nothing if they cannot be converted."""
        try:
            shown = self.to_shown(value)
        except MktlError:
            return ""
        formatter = self.formatter or formats.NumberFormat("%.6g")
        return formats.number_to_text(shown, formatter).strip()

    def _adopt_initial(self, reader: FieldReader) -> None:
        """Check the value at the start, and keep it as it is to be stored."""
        if self.initial is None:
            return
        check = self.validate if self.settable else self.coerce
        try:
            object.__setattr__(self, "initial", check(self.initial))
        except (BadValue, WrongType, UnknownKey) as error:
            raise reader.refusal("initial", f"is not a value of it: {error}") from None


def _all_numbers(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_all_numbers(element) for element in value)
    return value is None or is_number(value)


def _parsed_format(found: Any) -> formats.Formatter:
    return formats.parse_format(_fields.check_text(found))


def _read_type(reader: FieldReader) -> dict[str, Any]:
    """Read the fields that depend on each other: type, units, format, enumerators and range."""
    item_type = reader.read("type", _fields.check_type)
    names = _read_names(reader, item_type)
    if item_type in _NAMED and names is None:
        item_type, names = None, None  # a stranger's; ours were refused
    names = names or _NO_NAMES
    stored, shown = reader.read("units", _fields.check_units, ("", ""))
    number = item_type in _NUMBERS
    bounds = reader.read("range", _fields.check_bounds)
    if not reader.require("range", bounds is None or number, "is only for items of numbers"):
        bounds = None
    formatter = reader.read("format", _parsed_format) if number else None
    if isinstance(formatter, SexagesimalFormat) and shown:
        right = units.sexagesimal_unit(shown) is not None
        if not reader.require("format", right, "with colons is for units of hours or degrees"):
            formatter = None
    return {
        "type": item_type,
        "stored_units": stored,
        "shown_units": shown,
        "format": reader.read("format", _fields.check_text),
        "formatter": formatter,
        "enumerators": names.texts,
        "zero_text": names.zero,
        "names": names,
        "range": bounds,
    }


def _read_names(reader: FieldReader, item_type: str | None) -> Names | None:
    given = reader.read("enumerators", _fields.check_enumerators)
    if item_type == "boolean":
        texts = {} if given is None else given.texts
        right = given is None or _fields.names_fit(item_type, given)
        reader.require("enumerators", right, "of a boolean must be for 0 and 1 only")
        return Names(MappingProxyType({**_TRUTH_NAMES, **(texts if right else {})}))
    if item_type not in _NAMED:
        reader.require(
            "enumerators", given is None, "are only for boolean, enumerated and mask items"
        )
        return None
    allowed = (
        "must be there, for bits 0 to 255"
        if item_type == "mask"
        else ("must be there, for whole numbers")
    )
    right = given is not None and _fields.names_fit(item_type, given)
    return given if reader.require("enumerators", right, allowed) else None
