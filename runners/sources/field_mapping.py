"""The places of facts in a record of an inventory, and their units.

`"hw.cpus"` is a path of keys; `"/hw/cpus"` the same as a JSON pointer (RFC 6901), for keys that
have dots in them. A number in a path also counts the elements of a list, from 0.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from domain.names import quoted
from runners.sources.source import FIELDS, NoAnswer

DIGITS_MAX = 30
# More than any fact may be, and less than takes long to compute.
NUMBER_MAX = 10**24
PATH_CHARACTERS_MAX = 256

MISSING = object()
"""The result of `found` where the record has nothing at the path."""


def _place(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or not text or len(text) > PATH_CHARACTERS_MAX:
        raise ValueError("must be a path such as 'hw.cpus' or '/hw/cpus'")
    if text.startswith("/"):
        pieces = text[1:].split("/")
        return tuple(piece.replace("~1", "/").replace("~0", "~") for piece in pieces)
    return tuple(text.split("."))


Path = Annotated[tuple[str, ...], BeforeValidator(_place)]
"""The keys of a path."""


def _wrapped(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class _Field(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: Path


class NumberField(_Field):
    """A number, times a factor: 1024 where the inventory counts in megabytes."""

    factor: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)] = 1.0


class NameField(_Field):
    """The name of a system, and a table of names for those that the contract calls otherwise."""

    names: dict[str, str] = Field(default_factory=dict)


def _some(fields: "Fields") -> "Fields":
    if not fields.model_fields_set:
        raise ValueError(f"must say where at least one of {', '.join(FIELDS)} is")
    return fields


class Fields(BaseModel):
    """The place of each fact. A fact without a place is not supplied."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    os: Annotated[NameField, BeforeValidator(_wrapped)] | None = None
    cpus: Annotated[NumberField, BeforeValidator(_wrapped)] | None = None
    memory: Annotated[NumberField, BeforeValidator(_wrapped)] | None = None
    space: Annotated[NumberField, BeforeValidator(_wrapped)] | None = None

    def read(self, record: object) -> dict[str, object]:
        """The facts in a record. Raises `NoAnswer` where a number is not valid."""
        said: dict[str, object] = {}
        if self.os is not None:
            said["os"] = _name(found(record, self.os.path), self.os.names)
        for name in ("cpus", "memory", "space"):
            field: NumberField | None = getattr(self, name)
            if field is not None:
                said[name] = _number(name, found(record, field.path), field.factor)
        return said


MappedFields = Annotated[Fields, AfterValidator(_some)]
SAME_NAMES = Fields.model_validate({name: name for name in FIELDS})
"""For records whose keys have the names of the facts."""


def found(record: object, place: Sequence[str]) -> Any:
    """The value at a place, or `MISSING`. Any: a value of JSON."""
    here: Any = record
    for piece in place:
        if isinstance(here, Mapping):
            here = here.get(piece, MISSING)
        elif isinstance(here, list) and piece.isascii() and piece.isdigit():
            here = here[int(piece)] if len(piece) < 10 and int(piece) < len(here) else MISSING
        else:
            return MISSING
    return here


def _name(value: object, names: Mapping[str, str]) -> object:
    if value is MISSING or value is None:
        return None
    return names.get(value, value) if isinstance(value, str) else value


def _number(name: str, value: object, factor: float) -> int | None:
    """A whole number, rounded down; inventories send numbers as text as well."""
    if value is MISSING or value is None:
        return None
    text = str(value) if isinstance(value, int | float | str) else ""
    try:
        if isinstance(value, bool) or not text or len(text) > DIGITS_MAX:
            raise InvalidOperation
        number = Decimal(text) * Decimal(str(factor))
        if not number.is_finite() or abs(number) > NUMBER_MAX:
            raise InvalidOperation
        return int(number)
    except ArithmeticError:
        shown = quoted(text) if text else f"a {type(value).__name__}"
        raise NoAnswer(f"It says that {name} is {shown}: that is no number.") from None
