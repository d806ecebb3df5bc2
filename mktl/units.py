"""Conversion of units: temperatures and plane angles exactly, everything else with pint.

Units are names, as in an item's description. The command line imports this module, so nothing
heavy is imported until a conversion needs it: equal units need nothing at all, temperatures and
plane angles a table, and only the rest the ``pint`` package (the extra ``units``).

An hour is ambiguous: a sixtieth of it is a minute of time, or a quarter of a degree. It is an
angle (15 degrees) when the other side of a conversion is an angle, and otherwise a time.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import TYPE_CHECKING, Any

from .errors import BadUnits, ConfigurationError, WrongType

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["compatible", "convert", "magnitude", "quantity", "sexagesimal_unit"]

# Of pi, the digits that math.pi has: so math.pi rad is 180 deg, and not the float below it.
_PI = "3.141592653589793"

# Canonical name (pint knows it too): what is measured, scale and offset to the base, spellings.
# base = value * scale + offset, in kelvin or degrees; the numbers are exact decimals or ratios.
_TABLE: dict[str, tuple[str, str, str, str]] = {
    "kelvin": ("temperature", "1", "0", "K kelvin kelvins degK deg_K"),
    "degree_Celsius": (
        "temperature",
        "1",
        "273.15",
        "degC deg_C °C ℃ celsius degree_celsius degrees_celsius centigrade",
    ),
    "degree_Fahrenheit": (
        "temperature",
        "5/9",
        "45967/180",
        "degF deg_F °F ℉ fahrenheit degree_fahrenheit degrees_fahrenheit",
    ),
    "degree_Rankine": ("temperature", "5/9", "0", "degR deg_R °R rankine degree_rankine"),
    "degree": ("angle", "1", "0", "deg degs degree degrees ° dms arcdeg sexagesimal_degrees"),
    "radian": ("angle", "pi", "0", "rad rads radian radians"),
    "arcminute": ("angle", "1/60", "0", "arcmin arcmins arcminute arcminutes"),
    "arcsecond": ("angle", "1/3600", "0", "arcsec arcsecs arcsecond arcseconds"),
    "hourangle": ("angle", "15", "0", "hourangle hour_angle"),
    "hour": ("hour", "15", "0", "h hr hrs hour hours hms sexagesimal_hours"),
}
_NAMES = {
    name: canonical
    for canonical, (_, _, _, spellings) in _TABLE.items()
    for name in (canonical, *spellings.split())
}
_LOWER_NAMES = {name.lower(): canonical for name, canonical in _NAMES.items() if len(name) > 1}

_MAX_NAME = 80
"""Longest name that is handed to pint: names arrive from the network."""

_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")

_registry_lock = threading.Lock()


def convert(value: Any, from_units: str, to_units: str) -> Any:
    """Convert a number, or a (nested) list of numbers, from one unit to another.

    Temperatures convert as temperatures, not as differences: 0 ``degC`` is 273.15 ``K``.

    Args:
        value: A number, ``None`` (which stays ``None``), a list of such, or a numpy array or
            scalar, which comes back as lists and numbers.
        from_units: Units of *value*.
        to_units: Units of the result.

    Returns:
        *value* itself when the two units are the same; otherwise floating-point numbers.

    Raises:
        BadUnits: one of the units is unknown, or they do not measure the same thing.
        ConfigurationError: the conversion needs pint, which is not installed.
    """
    if from_units == to_units:
        return value
    ratio = _exact_ratio(from_units, to_units)
    if ratio is None:
        return _convert_with_pint(value, from_units, to_units)
    scale, offset = ratio
    if scale == 1 and offset == 0:
        return value
    return _apply(value, scale, offset)


def compatible(units: str, other: str) -> bool:
    """Return whether values in *units* can be converted to *other*; unknown units cannot.

    Raises:
        ConfigurationError: the answer needs pint, which is not installed.
    """
    if units == other:
        return True
    try:
        if _exact_ratio(units, other) is None:
            _pint_pair(units, other)
    except BadUnits:
        return False
    return True


def quantity(value: Any, units: str) -> Any:
    """Return *value* as a ``pint.Quantity`` of pint's application registry.

    An hour is an hour of time here, however it is spelled.

    Raises:
        BadUnits: pint does not know *units*.
        WrongType: *value* is neither a number nor an array of numbers; ``None`` above all.
        ConfigurationError: pint is not installed.
    """
    if value is None or isinstance(value, (bool, str)):
        raise WrongType(f"only numbers can have units, not {value!r:.60}")
    return _registry().Quantity(value, _pint_unit(units))


def magnitude(quantity: Any, units: str) -> Any:
    """Return the number that a ``pint.Quantity`` (of any registry) has in *units*.

    Raises:
        BadUnits: *quantity* measures something else, or one of the units is unknown.
        ConfigurationError: pint is not installed.
    """
    own_units = str(quantity.units)
    if own_units == units:
        return quantity.magnitude
    return convert(quantity.magnitude, own_units, units)


def sexagesimal_unit(units: str) -> str | None:
    """Return ``hour`` or ``degree`` if *units* is one of them, however spelled; else ``None``."""
    canonical = _canonical(units)
    if canonical == "hourangle":
        return "hour"
    return canonical if canonical in ("hour", "degree") else None


@functools.lru_cache(maxsize=1024)
def _canonical(units: str) -> str | None:
    """Return the name in the table for *units*, or ``None`` if it is left to pint."""
    name = units.strip()
    found = _NAMES.get(name)
    if found is not None:
        return found
    name = name.lower().replace(" ", "_")
    if ":" in name and name[0] in "hd" and name.replace(":", "").isalpha():
        return "hour" if name[0] == "h" else "degree"  # h:m:s, dd:mm:ss, deg:min:sec
    return _LOWER_NAMES.get(name)


@functools.lru_cache(maxsize=256)
def _exact_ratio(from_units: str, to_units: str) -> tuple[Fraction, Fraction] | None:
    """Return scale and offset between two units of the table; ``None`` if pint must tell."""
    source, target = _canonical(from_units), _canonical(to_units)
    if source is None or target is None:
        return None
    kinds = {_TABLE[source][0], _TABLE[target][0]}
    if len(kinds) > 1 and kinds != {"angle", "hour"}:
        raise _mismatch(from_units, to_units)
    source_scale, source_offset = _to_base(source)
    target_scale, target_offset = _to_base(target)
    return source_scale / target_scale, (source_offset - target_offset) / target_scale


def _to_base(canonical: str) -> tuple[Fraction, Fraction]:
    from fractions import Fraction

    _, scale, offset, _ = _TABLE[canonical]
    if scale == "pi":
        return 180 / Fraction(_PI), Fraction(offset)
    return Fraction(scale), Fraction(offset)


def _apply(value: Any, scale: Fraction, offset: Fraction) -> Any:
    """Scale numbers exactly, rounding once: -193.15 degC is 80 K and not 79.99999999999997."""
    from fractions import Fraction

    if value is None:
        return None
    plain = _plain(value)
    if isinstance(plain, list):
        return [_apply(element, scale, offset) for element in plain]
    number = _number(plain)
    try:
        if not math.isfinite(number):
            return number * float(scale) + float(offset)
        # The shortest decimal that denotes the float is what people and devices meant.
        return float(Fraction(repr(number)) * scale + offset)
    except OverflowError:
        raise BadUnits("the number is too large for another unit") from None


def _plain(value: Any) -> Any:
    """Return *value* without numpy types, and with lists for tuples."""
    if isinstance(value, tuple):
        return list(value)
    tolist = getattr(value, "tolist", None)
    return value if tolist is None else tolist()


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadUnits(f"only numbers can be converted to other units, not {value!r:.60}")
    return value


def _mismatch(from_units: str, to_units: str) -> BadUnits:
    return BadUnits(f"{_named(from_units)} cannot be converted to {_named(to_units)}")


def _named(units: str) -> str:
    return repr(units[:_MAX_NAME]) if units else "a number without units"


def _registry() -> Any:
    """Return the process's pint registry, made by whichever thread needs it first."""
    with _registry_lock:
        return _make_registry()


@functools.cache
def _make_registry() -> Any:
    try:
        import pint
    except ImportError:
        raise ConfigurationError(
            'converting these units needs the package pint: pip install "mktl-hardware[units]"'
        ) from None
    # The application registry, so that an item's quantities mix with those of the user's code.
    registry = pint.get_application_registry()
    if "hourangle" not in registry:
        registry.define("hourangle = 15 * degree = _ = hour_angle")
    return registry


@functools.lru_cache(maxsize=1024)
def _pint_unit(units: str) -> Any:
    """Return pint's unit of that name.

    Raises:
        BadUnits: pint does not know it, or it is no unit at all.
    """
    import re

    registry = _registry()
    if len(units) > _MAX_NAME or not _has_small_powers(units):
        raise BadUnits(f"unknown units {units[:_MAX_NAME]!r}")
    # As it is, pint would take "amps" for atto-(metres per second).
    spelled = re.sub(r"\bamps\b", "ampere", units)
    try:
        return registry.parse_units(_canonical(spelled) or spelled)
    except Exception as error:  # pint lets through whatever its tokenizer and evaluator raise
        raise BadUnits(f"unknown units {units!r}") from error


def _has_small_powers(units: str) -> bool:
    """Return whether pint can work out the powers in *units*: 10**10**10 would take it for ever."""
    import re

    text = re.sub("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda power: "**" + power[0].translate(_SUPERSCRIPTS), units)
    _, *powers = text.replace("^", "**").split("**")
    *inner, last = powers or ["1"]
    small = re.compile(r"\s*\(?\s*-?\d(\.\d{1,3}|/\d)?\s*\)?(?![\w.])")
    return bool(small.match(last)) and all(
        small.match(power) and any(letter.isalpha() for letter in power) for power in inner
    )


def _pint_pair(from_units: str, to_units: str) -> tuple[Any, Any]:
    """Return both as pint units that convert into each other.

    Raises:
        BadUnits: one is unknown, or they measure different things.
    """
    try:
        source, target = _pint_unit(from_units), _pint_unit(to_units)
    except BadUnits as error:
        raise BadUnits(f"{_mismatch(from_units, to_units)}: {error}") from error
    # Equal dimensions are not enough: to pint a radian, a count and a percentage are all pure
    # numbers, and 60 rpm would be 6.28 Hz.
    if _root(source) != _root(target):
        raise _mismatch(from_units, to_units)
    return source, target


def _root(unit: Any) -> Any:
    try:
        return _registry().get_base_units(unit)[1]
    except Exception as error:  # as in _pint_unit
        raise BadUnits(f"unknown units {str(unit)!r}") from error


def _convert_with_pint(value: Any, from_units: str, to_units: str) -> Any:
    source, target = _pint_pair(from_units, to_units)
    make = _registry().Quantity

    def convert_one(element: Any) -> Any:
        if element is None:
            return None
        plain = _plain(element)
        if isinstance(plain, list):
            return [convert_one(each) for each in plain]
        return float(make(_number(plain), source).to(target).magnitude)

    try:
        return convert_one(value)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, BadUnits):
            raise
        raise BadUnits(f"{_mismatch(from_units, to_units)}: {error}") from error
