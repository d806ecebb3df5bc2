"""From the table of an item in an instrument file to what the text driver reads and sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from re import Pattern as Regex
from typing import Any, TypeVar

from drivers._suggest import suggestion
from drivers._text_item import TextItem
from drivers._text_kind import NUMBER_CODES, TYPES, implied_type, usual_reply
from drivers._text_settings import Speech
from drivers._text_values import is_number, numeral, tells_texts, values_from
from drivers.base import BadItem
from drivers.framing.patterns import Pattern
from drivers.framing.templates import Template
from mktl.description import Description
from mktl.errors import BadItemDescription, ConfigurationError, MktlError

__all__ = ["ITEM_KEYS", "item_from_table"]

ITEM_KEYS = (
    *("ask", "reply", "field", "valid", "reasons", "plausible", "values", "scale", "offset"),
    *("no_reading", "tell", "tell_values", "ack", "ack_optional", "check", "read_back"),
    *("heard", "silence_s"),
)
"""Keys of an item's table that say how it is read and set."""

_NEEDS = {
    "reply": "ask",
    "no_reading": "ask",
    "tell_values": "tell",
    "ack": "tell",
    "ack_optional": "ack",
    "check": "tell",
    "read_back": "tell",
    "silence_s": "heard",
    "reasons": "valid",
}
_NUMERIC = ("numeric", "numeric array")
_ABOUT_FIELDS = ("field", "valid", "reasons")

_Made = TypeVar("_Made")


def item_from_table(key: str, table: Mapping[str, Any], speech: Speech) -> TextItem:
    """Return what *table* says of the item *key*.

    Raises:
        BadItem: something in it is wrong; names the key of the table.
    """
    reader = _Reader(key, table, speech)
    reader.check_keys()
    return reader.item()


class _Reader:
    """Reads one table; each method reads some of its keys, and refuses what is wrong in them."""

    def __init__(self, key: str, table: Mapping[str, Any], speech: Speech) -> None:
        self._key = key
        self._table = table
        self._speech = speech
        self._type = ""
        self._shapes: dict[str, Pattern] = {}
        self._texts = False
        """Whether what stands for its value in the protocol is text, and no number."""

    def check_keys(self) -> None:
        """Refuse a table that says nothing, or something that depends on what is not there."""
        if not {"ask", "heard", "tell"} & self._table.keys():
            raise BadItem("ask", "is missing: what is sent to read it (or heard, or tell)")
        for name, needed in _NEEDS.items():
            if name in self._table and needed not in self._table:
                raise BadItem(name, f"means nothing without {needed}")
        if self._table.get("settable") is True and "tell" not in self._table:
            raise BadItem("settable", "says true, but there is no tell: what is sent to set it")
        field = self._table.get("field", "value")
        for name in field if isinstance(field, list) else [field]:
            if not isinstance(name, str):
                raise BadItem("field", f"must be the name of a field, not {name!r}")
        given = self._table.get("type")
        if given is not None and given not in TYPES:
            raise BadItem("type", f"{given!r}: {suggestion(str(given), TYPES)}")

    def item(self) -> TextItem:
        """Return the item."""
        ask = self._made("ask", lambda text: self._speech.sendable("ask", text))
        tell = self._made("tell", lambda text: Template(text, unit=self._speech.unit))
        heard = self._made("heard", self._line_pattern)
        reply = self._reply() if ask is not None else None
        self._shapes = {
            name: one for name, one in (("reply", reply), ("heard", heard)) if one is not None
        }
        self._type = implied_type(self._table, tuple(self._shapes.values()), tell)
        fields = self._fields()
        self._texts = self._is_text(fields, tell)
        description = self._description()
        values = self._values(description)
        self._check_kind(values)
        sent_values = self._tell_values(tell, description)
        self._check_tell(tell, fields, values, sent_values)
        valid = self._valid()
        return TextItem(
            key=self._key,
            type=self._type,
            fields=fields,
            lines=1 + (reply.ends(self._end) if reply is not None else 0),
            ask=ask,
            reply=reply,
            heard=heard,
            silence_s=self._silence_s(),
            tell=None if self._table.get("settable") is False else tell,
            no_reading=self._regex("no_reading"),
            ack=self._regex("ack"),
            ack_optional=self._ack_optional(),
            check=self._flag("check", True),
            read_back=self._read_back(),
            valid=valid,
            reasons=self._reasons(valid),
            plausible=self._plausible(),
            values=values,
            sent_values=sent_values,
            scale=self._number("scale", 1),
            offset=self._number("offset", 0),
            description=description,
        )

    # --- patterns ---------------------------------------------------------------------------------

    def _made(self, name: str, make: Callable[[Any], _Made]) -> _Made | None:
        """Return what *make* makes of the text *name*; ``None`` if there is none."""
        if name not in self._table:
            return None
        text = self._table[name]
        if not (isinstance(text, str) and text):
            raise BadItem(name, f"must be a text, not {text!r}")
        try:
            return make(text)
        except ConfigurationError as error:
            spoils = _ABOUT_FIELDS if name in ("reply", "heard") else ()
            text = str(error).removeprefix(f"{name}: ")
            raise BadItem(name, text, spoils=spoils) from None

    def _pattern(self, text: str) -> Pattern:
        return Pattern(text, unit=self._speech.unit, no_value=self._speech.no_value)

    def _line_pattern(self, text: str) -> Pattern:
        made = self._pattern(text)
        if made.ends(self._end):
            raise BadItem("heard", f"is a single line, but there is {self._end!r} in it")
        return made

    @property
    def _end(self) -> str:
        return self._speech.reply_end.decode(self._speech.wide_encoding)

    def _reply(self) -> Pattern:
        if "reply" in self._table:
            made = self._made("reply", self._pattern)
            assert made is not None
            return made
        if isinstance(self._table.get("field", ""), list) or (
            self._table.get("type") == "numeric array"
        ):
            raise BadItem("reply", "is missing: an array needs to know the fields of the reply")
        return self._pattern(usual_reply(self._table))

    def _fields(self) -> tuple[str, ...]:
        """Return the names of the fields that are its value."""
        given = self._table.get("field", "value")
        several = isinstance(given, list)
        names = tuple(given) if several else (given,)
        if not names:
            raise BadItem("field", "is an empty list: an array has at least one field")
        if len(set(names)) < len(names):
            raise BadItem("field", f"{given!r} has a name twice")
        if several != (self._type == "numeric array"):
            raise BadItem("field", f"{given!r}: a list is for type 'numeric array', and it only")
        for where, shape in self._shapes.items():
            for name in names:
                if name not in shape.fields:
                    known = suggestion(name, shape.fields) if shape.fields else "it has none"
                    at = "field" if "field" in self._table else where
                    raise BadItem(at, f"{shape.text!r} has no field {name!r}: {known}")
        return names

    def _is_text(self, fields: tuple[str, ...], tell: Template | None) -> bool:
        """Return whether the value is text in the protocol."""
        kinds = {
            name: {shape.fields[one] in NUMBER_CODES for one in fields}
            for name, shape in self._shapes.items()
        }
        numbers = set().union(*kinds.values())
        if len(numbers) > 1:
            raise BadItem(
                next(iter(kinds)), "the value is a number in one place, a text in another"
            )
        if numbers:
            return not numbers.pop()
        codes = set(tell.fields.values()) if tell is not None else set()
        if codes & {"s"}:
            return True
        return not codes & {*"dfegxXobEFG"} and (
            self._type == "string" or bool(self._table.get("values"))
        )

    # --- the value --------------------------------------------------------------------------------

    def _description(self) -> Description:
        fields = {**self._table, "type": self._type}
        try:
            strict: dict[str, Any] = {
                name: fields[name] for name in ("type", "enumerators") if name in fields
            }
            Description.from_json(self._key, strict)
        except BadItemDescription as error:
            at = "enumerators" if "enumerators" in self._table else "type"
            raise BadItem(at, str(error).removeprefix(f"{self._key}: ")) from None
        known = ("type", "units", "range", "enumerators")
        return Description.from_json(
            self._key, {name: fields[name] for name in known if name in fields}, lenient=True
        )

    def _values(self, description: Description) -> dict[int | float | str, Any] | None:
        given = self._table.get("values")
        if given is None:
            if self._type == "enumerated" and self._texts:
                return {text: number for number, text in description.enumerators.items()}
            return None
        return values_from("values", given, description, texts=self._texts)

    def _tell_values(
        self, tell: Template | None, description: Description
    ) -> dict[int | float | str, Any] | None:
        """Return what is sent for each value, where that is not what is read."""
        given = self._table.get("tell_values")
        if given is None or tell is None:
            return None
        if not self._shapes:
            raise BadItem("tell_values", "is for what is read in other words: values would do")
        if self._type in ("numeric array", "mask") or not tell.fields:
            raise BadItem("tell_values", f"are not for type {self._type!r}, or without {{value}}")
        return values_from("tell_values", given, description, texts=tells_texts(tell, given))

    def _check_kind(self, values: Mapping[Any, Any] | None) -> None:
        """Refuse a type that does not fit what stands in the protocol."""
        if values is None and self._texts != (self._type == "string"):
            at = "type" if "type" in self._table else next(iter(self._shapes), "tell")
            kind = "a text" if self._texts else "a number"
            raise BadItem(at, f"the value is {kind} in the protocol, and the item is {self._type}")
        for name in ("scale", "offset", "plausible"):
            if name in self._table and (values is not None or self._type not in _NUMERIC):
                raise BadItem(name, "is for numbers only")
        if values is not None and self._type in ("numeric array", "mask"):
            raise BadItem("values", f"are not for type {self._type!r}")

    def _check_tell(
        self,
        tell: Template | None,
        fields: tuple[str, ...],
        values: Mapping[Any, Any] | None,
        sent_values: dict[int | float | str, Any] | None,
    ) -> None:
        if tell is None:
            return
        if not tell.fields:
            if self._type != "boolean":
                raise BadItem("tell", "has no {value}: only a boolean can be set by a fixed text")
        elif self._type == "numeric array" and set(tell.fields) != set(fields):
            raise BadItem("tell", f"must have the fields {', '.join(fields)}, each of them")
        for name, code in tell.fields.items():
            if name != "value" and name not in fields:
                raise BadItem("tell", f"unknown field {name!r}: {suggestion(name, fields)}")
            texts = self._texts if sent_values is None else isinstance(next(iter(sent_values)), str)
            if (code == "s" and not texts) or (code not in ("", "s") and texts):
                raise BadItem("tell", f"a {'text' if texts else 'number'} is no {code!r}")
        self._try_tell(tell, values if sent_values is None else sent_values)

    def _try_tell(self, tell: Template, values: Mapping[Any, Any] | None) -> None:
        """See that all the messages can be sent that are known already."""
        try:
            self._speech.message(tell.literal)
            for sent in values or ():
                written = {
                    name: str(sent) if code == "s" else sent for name, code in tell.fields.items()
                }
                self._speech.message(tell.render(written)[0])
        except MktlError as error:
            raise BadItem("tell", str(error)) from None

    # --- whether there is one ---------------------------------------------------------------------

    def _valid(self) -> dict[str, tuple[Any, ...]]:
        given = self._table.get("valid", {})
        if not isinstance(given, Mapping):
            raise BadItem("valid", f"must be a table, such as {{status = 0}}, not {given!r}")
        if given and not self._shapes:
            raise BadItem("valid", "means nothing for what is never read")
        found = {}
        for name, value in given.items():
            kind = self._kind_of("valid", name)
            allowed = tuple(value) if isinstance(value, list) else (value,)
            for one in allowed:
                fits = isinstance(one, str) if kind == "text" else is_number(one)
                if not fits:
                    raise BadItem(f"valid.{name}", f"must be a {kind}, not {one!r}")
            found[name] = allowed
        return found

    def _reasons(self, valid: Mapping[str, Any]) -> dict[str, dict[Any, str]]:
        given = self._table.get("reasons", {})
        if not isinstance(given, Mapping):
            raise BadItem("reasons", f"must be a table of tables, not {given!r}")
        found: dict[str, dict[Any, str]] = {}
        for name, words in given.items():
            if name not in valid:
                raise BadItem(f"reasons.{name}", f"valid does not say when {name!r} is good")
            if not (isinstance(words, Mapping) and all(isinstance(w, str) for w in words.values())):
                raise BadItem(f"reasons.{name}", f"must be a table of texts, not {words!r}")
            text = self._kind_of("reasons", name) == "text"
            found[name] = {
                one if text else numeral(f"reasons.{name}", one): word
                for one, word in words.items()
            }
        return found

    def _kind_of(self, key: str, name: str) -> str:
        for shape in self._shapes.values():
            if name not in shape.fields:
                known = suggestion(name, shape.fields)
                raise BadItem(f"{key}.{name}", f"{shape.text!r} has no such field: {known}")
        codes = {shape.fields[name] in NUMBER_CODES for shape in self._shapes.values()}
        return "number" if codes == {True} else "text"

    def _plausible(self) -> tuple[float, float] | None:
        given = self._table.get("plausible")
        if given is None:
            return None
        if not (isinstance(given, list) and len(given) == 2 and all(map(is_number, given))):
            raise BadItem("plausible", f"must be two numbers, [low, high], not {given!r}")
        low, high = given
        if low > high:
            raise BadItem("plausible", f"{given!r}: the first one must be the smaller one")
        return float(low), float(high)

    # --- the rest ---------------------------------------------------------------------------------

    def _regex(self, name: str) -> Regex[str] | None:
        if name not in self._table:
            return None
        try:
            return self._speech.regex(name, self._table[name])
        except ConfigurationError as error:
            raise BadItem(name, str(error).removeprefix(f"{name}: ")) from None

    def _ack_optional(self) -> bool:
        optional = self._flag("ack_optional", False)
        if optional and self._speech.identify is None:
            raise BadItem(
                "ack_optional",
                "needs an identify of the controller: without one, a device that is off is silent "
                "in just the same way",
            )
        return optional

    def _flag(self, name: str, usual: bool) -> bool:
        given = self._table.get(name, usual)
        if not isinstance(given, bool):
            raise BadItem(name, f"must be true or false, not {given!r}")
        return given

    def _read_back(self) -> bool:
        wanted = self._flag("read_back", False)
        if wanted and "ask" not in self._table:
            raise BadItem("read_back", "means nothing without ask")
        return wanted

    def _silence_s(self) -> float | None:
        given = self._table.get("silence_s")
        if given is None:
            return None
        if not (is_number(given) and given > 0):
            raise BadItem("silence_s", f"must be a positive number of seconds, not {given!r}")
        return float(given)

    def _number(self, name: str, usual: float) -> float:
        given = self._table.get(name, usual)
        if not is_number(given) or (name == "scale" and given == 0):
            raise BadItem(name, f"must be a number{' other than 0' * (name == 'scale')}")
        number: float = given
        return number
