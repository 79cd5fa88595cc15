"""What is searched: a range for each parameter, as data.

The ranges of the library's models are in ``spaces.toml`` beside this file, which says what a table
may hold. A user's own is the same thing in another file, or as a dict.
"""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from ganmf_fast.base.errors import suggestion
from ganmf_fast.models import NAMES

__all__ = ["Choice", "Dimension", "Int", "Params", "Real", "Space", "packaged_space", "read_spaces"]

Params: TypeAlias = dict[str, Any]

_LIMITS: dict[str, Callable[[int, int], int]] = {
    "users": lambda users, _items: users,
    "items": lambda _users, items: items,
    "shorter side": min,
    "bottleneck": lambda _users, items: max(items * 3 // 4, 1) if items <= 1024 else 1024,
}


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As in a table of ranges."""
        return {"int": [self.low, self.high]} | ({"log": True} if self.log else {})

    def height(self, value: object) -> float | None:
        """Place of a value on the axis, from 0 to 1; None if it is none of the range."""
        return _between(self, value)


@dataclass(frozen=True)
class Real:
    """Real numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As in a table of ranges."""
        return {"real": [self.low, self.high]} | ({"log": True} if self.log else {})

    def height(self, value: object) -> float | None:
        """Place of a value on the axis, from 0 to 1; None if it is none of the range."""
        return _between(self, value)


@dataclass(frozen=True)
class Choice:
    """One of some values: strings, numbers or booleans."""

    choices: tuple[Any, ...]

    def to_dict(self) -> dict[str, Any]:
        """As in a table of ranges."""
        return {"choice": list(self.choices)}

    def height(self, value: object) -> float | None:
        """Place of a value on the axis, from 0 to 1; None if it is none of the choices."""
        at = [repr(choice) for choice in self.choices]
        return at.index(repr(value)) / max(len(at) - 1, 1) if repr(value) in at else None


def _between(range_: "Int | Real", value: object) -> float | None:
    low, high = float(range_.low), float(range_.high)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return None
    scale: Callable[[float], float] = math.log if range_.log else float
    return (scale(value) - scale(low)) / (scale(high) - scale(low))


Dimension: TypeAlias = Int | Real | Choice


@dataclass(frozen=True)
class Space:
    """The ranges of one search.

    Attributes
    ----------
    dimensions : dict of str to Int, Real or Choice
        In the order in which backends see them.
    constants : dict
        Parameters with a single value.
    counts_as : dict of str to str
        Dimensions that hold the value of another parameter, whose own is asked for and not used.
    """

    dimensions: dict[str, Dimension]
    constants: Params
    counts_as: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resolve(cls, table: Any, params: Mapping[str, Any], shape: tuple[int, int]) -> "Space":
        """The space of a table of ranges, for one model on one matrix.

        Parameters
        ----------
        table : mapping
            As in ``spaces.toml``.
        params : mapping
            Parameters of the model that is tuned, which `when` looks at.
        shape : tuple of int
            Users and items, which `at_most` looks at.

        Raises
        ------
        TypeError, ValueError
            If the table has another form; the message names the parameter.
        """
        if not isinstance(table, Mapping):
            raise TypeError(f"space must be a table of ranges, not {table!r}")
        dimensions: dict[str, Dimension] = {}
        constants: Params = {}
        counts_as: dict[str, str] = {}
        for name, given in table.items():
            if not isinstance(given, Mapping | list):
                constants[name] = _plain(name, given)
                continue
            for entry in given if isinstance(given, list) else [given]:
                if not isinstance(entry, Mapping):
                    raise TypeError(f"space: {name} must be {_FORM}, not {given!r}")
                if not _applies(name, entry.get("when", {}), params):
                    continue
                found = _dimension(name, entry, params, shape)
                if "counts_as" in entry:
                    counts_as[name] = _other(name, entry["counts_as"], table)
                    found = Choice(found) if isinstance(found, tuple) else found
                if isinstance(found, Int | Real | Choice):
                    dimensions[name] = found
                else:
                    constants[name] = found[0]
                break
        return cls(dimensions, constants, counts_as)

    @property
    def effective(self) -> dict[str, Dimension]:
        """The dimensions that decide parameters, under the names of these."""
        return self.params(self.dimensions)

    def params(self, asked: Mapping[str, Any]) -> Params:
        """The parameters of a point, such as a backend asks for."""
        kept = {n: value for n, value in asked.items() if n not in self.counts_as.values()}
        return {self.counts_as.get(name, name): value for name, value in kept.items()}

    def asked(self, params: Params) -> dict[str, Any]:
        """A point that gives `params`, but for dimensions whose values are not used.

        Raises
        ------
        ValueError
            If a value is missing, outside its range, or of nothing that is searched; the message
            is a phrase that names it.
        """
        self.check(params)
        for name in self.effective:
            if name not in params:
                raise ValueError(f"no {name}")
        unused = self.counts_as.values()
        names = [name for name in self.dimensions if name not in unused]
        return {name: params[self.counts_as.get(name, name)] for name in names}

    def check(self, params: Mapping[str, Any]) -> None:
        """See that each of these parameters is searched, and its value in the range.

        Raises
        ------
        ValueError
            As `asked`.
        """
        for name, value in params.items():
            dimension = self.effective.get(name)
            if dimension is None:
                raise ValueError(f"{name}, which is not searched")
            whole = isinstance(value, int) or not isinstance(dimension, Int)
            if dimension.height(value) is None or not whole:
                raise ValueError(f"{name} {value!r:.40}")

    def to_dict(self) -> dict[str, Any]:
        """As a table of ranges, clipped and without conditions."""
        tables = {name: dim.to_dict() for name, dim in self.dimensions.items()}
        for name, other in self.counts_as.items():
            tables[name]["counts_as"] = other
        return tables | self.constants


@cache
def _packaged() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("spaces.toml").read_text(encoding="utf-8"))


def packaged_space(model: str) -> dict[str, Any] | None:
    """The table of ranges that comes with the library, or None if the model has none.

    Parameters
    ----------
    model : str
        Name of the class.

    Returns
    -------
    dict
        A copy, to be changed and passed as `space`.
    """
    table = _packaged().get(model)
    return None if table is None else dict(table)


def read_spaces(path: str | Path) -> dict[str, dict[str, Any]]:
    """The tables of ranges in a TOML file, by the name of the model.

    Raises
    ------
    ValueError
        If the file cannot be read, is not TOML, or holds something else.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the space file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"the space file {path} is not valid TOML: {error}") from None
    plain = [name for name, table in content.items() if not isinstance(table, dict)]
    if plain:
        raise ValueError(
            f"the space file {path} must hold a table for each model, such as [ItemKNN], but "
            f"{plain[0]} is {content[plain[0]]!r}"
        )
    return content


def table_for(
    model: str, space: Mapping[str, Any] | str | Path | None
) -> tuple[dict[str, Any], bool]:
    """The table of ranges to be used for a model, and whether it is the library's own.

    Raises
    ------
    TypeError, ValueError
        If `space` is neither a mapping nor a TOML file, or there is none for the model.
    """
    if isinstance(space, str | Path):
        tables = read_spaces(space)
        for name in tables:
            if name != model and name not in NAMES:
                raise ValueError(
                    f"the space file {space} has a table for {name!r}, which is no model"
                    f"{suggestion(name, [model, *NAMES])}"
                )
        if model in tables:
            return tables[model], False
    elif isinstance(space, Mapping):
        return dict(space), False
    elif space is not None:
        raise TypeError(f"space must be a dict or the path of a TOML file, not {space!r}")
    table = packaged_space(model)
    if table is None:
        raise ValueError(
            f"space must be given for {model}, which has no ranges of its own "
            f'(such as space={{"topk": {{"int": [5, 100]}}}})'
        )
    return table, True


def searched(dimension: Dimension) -> bool:
    """Whether there is more than one value."""
    return not isinstance(dimension, Choice) or len(dimension.choices) > 1


def without(table: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The table with some parameters as constants, but for choices of the given value alone."""
    kept = {name for name in fixed if table.get(name) == {"choice": _GIVEN}}
    constants = {name: value for name, value in fixed.items() if name not in kept}
    left = {name: given for name, given in table.items() if _named(given) not in constants}
    return {**left, **constants}


def _named(given: Any) -> Any:
    """The parameter whose value a range of another name is."""
    entry = given[0] if isinstance(given, list) and given else given
    return entry.get("counts_as") if isinstance(entry, Mapping) else None


def _other(name: str, other: object, table: Mapping[str, Any]) -> str:
    if (
        not isinstance(other, str)
        or other == name
        or not isinstance(table.get(other), Mapping | list)
    ):
        raise ValueError(f"space: counts_as of {name} must be another range, not {other!r}")
    return other


def _applies(name: str, when: object, params: Mapping[str, Any]) -> bool:
    if not isinstance(when, Mapping):
        raise TypeError(f"space: when of {name} must be a table, not {when!r}")
    return all(params.get(other) in _several(wanted) for other, wanted in when.items())


_GIVEN = "given"
_KINDS = ("int", "real", "choice")
_FORM = "{ int = [low, high] }, { real = [low, high] } or { choice = [...] }"


def _dimension(
    name: str, entry: Mapping[str, Any], params: Mapping[str, Any], shape: tuple[int, int]
) -> Dimension | tuple[Any]:
    """One range, or the only number that is left of it as a tuple of one."""
    kinds = [kind for kind in _KINDS if kind in entry]
    unknown = set(entry) - {*_KINDS, "log", "at_most", "when", "counts_as"}
    if len(kinds) != 1 or unknown:
        raise ValueError(f"space: {name} must be {_FORM}, not {dict(entry)!r}")
    [kind] = kinds
    values = [params.get(name)] if entry[kind] == _GIVEN else entry[kind]
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"space: {name} must be {_FORM}, not {dict(entry)!r}")
    if kind == "choice":
        choices = tuple(_plain(name, value) for value in values)
        if not choices or "log" in entry or "at_most" in entry:
            raise ValueError(
                f"space: {name} must be a choice of at least one value, not {dict(entry)!r}"
            )
        if len({repr(choice) for choice in choices}) < len(choices):
            raise ValueError(f"space: {name} holds a choice twice: {list(choices)!r}")
        return Choice(choices)
    log = entry.get("log", False)
    if len(values) != 2 or not isinstance(log, bool):
        raise ValueError(f"space: {name} must be {_FORM}, not {dict(entry)!r}")
    low, high = (_number(name, kind, value) for value in values)
    if not low < high or (log and low <= 0):
        wanted = "0 < low < high" if log else "low < high"
        raise ValueError(f"space: {name} needs {wanted}, not {list(values)!r}")
    if "at_most" in entry:
        limit = _limit(name, entry["at_most"], shape)
        low, high = min(low, limit), min(high, limit)
    if low == high:
        return (low,)
    return Int(int(low), int(high), log) if kind == "int" else Real(low, high, log)


def _number(name: str, kind: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"space: an end of {name} must be a number, not {value!r}")
    if kind == "int":
        if not isinstance(value, int):
            raise TypeError(f"space: an end of {name} must be a whole number, not {value!r}")
        return value
    return float(value)


def _limit(name: str, what: object, shape: tuple[int, int]) -> int:
    if not isinstance(what, str) or what not in _LIMITS:
        raise ValueError(f"space: at_most of {name} must be one of {list(_LIMITS)}, not {what!r}")
    return _LIMITS[what](*shape)


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"space: {name} must be {_FORM}, or a plain value, not {value!r}")


def _several(wanted: Any) -> Sequence[Any]:
    return wanted if isinstance(wanted, list | tuple) else [wanted]
