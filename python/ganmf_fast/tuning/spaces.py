"""Search spaces: a range for each parameter, as data.

The range of a parameter is declared with the parameter (`ganmf_fast.base.params`). The packaged
space of a model has the declared ranges in the order of ``spaces.toml``, or in the order of
declaration where that has none; the head of the file documents the form of a table of ranges.
"""

import copy
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ganmf_fast.base import toml_files
from ganmf_fast.base.checks import plain
from ganmf_fast.base.errors import DataError, suggestion
from ganmf_fast.base.params import search_ranges
from ganmf_fast.base.text import one_line, printable, shown
from ganmf_fast.models.registry import NAMES, model_class

Params: TypeAlias = dict[str, Any]

_LIMITS: dict[str, Callable[[int, int], int]] = {
    "users": lambda users, _items: users,
    "items": lambda _users, items: items,
    "shorter side": min,
    "bottleneck": lambda _users, items: max(items * 3 // 4, 1) if items <= 1024 else 1024,
}


class _Interval:
    """Numbers from `low` to `high`, both included."""

    kind: ClassVar[str]
    low: Any
    high: Any
    log: bool

    def to_dict(self) -> dict[str, Any]:
        """The entry of a table of ranges."""
        return {self.kind: [self.low, self.high]} | ({"log": True} if self.log else {})

    def height(self, value: object) -> float | None:
        """Relative position of a value, from 0 to 1 on its scale; None if it is out of range."""
        low, high = float(self.low), float(self.high)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not low <= value <= high:
            return None
        scale: Callable[[float], float] = math.log if self.log else float
        return (scale(value) - scale(low)) / (scale(high) - scale(low))


@dataclass(frozen=True)
class Int(_Interval):
    """Integers from `low` to `high`, both included."""

    kind: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class Real(_Interval):
    """Real numbers from `low` to `high`, both included."""

    kind: ClassVar[str] = "real"
    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of some values: strings, numbers or booleans."""

    choices: tuple[Any, ...]

    def to_dict(self) -> dict[str, Any]:
        """The entry of a table of ranges."""
        return {"choice": list(self.choices)}

    def height(self, value: object) -> float | None:
        """Relative position of a value, from 0 to 1; None if it is not a choice."""
        at = [repr(choice) for choice in self.choices]
        return at.index(repr(value)) / max(len(at) - 1, 1) if repr(value) in at else None


Dimension: TypeAlias = Int | Real | Choice


@dataclass(frozen=True)
class Space:
    """The search space of one search.

    A *point* has a value for each dimension. It differs from the parameters of the model only where
    a dimension counts as another parameter.

    Attributes
    ----------
    dimensions : dict of str to Int, Real or Choice
        In the order in which backends see them.
    constants : dict
        Parameters with a single value.
    counts_as : dict of str to str
        Dimensions whose value is that of another parameter; the parameter's own dimension is
        sampled but not used.
    """

    dimensions: dict[str, Dimension]
    constants: Params
    counts_as: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resolve(cls, table: Any, params: Mapping[str, Any], shape: tuple[int, int]) -> "Space":
        """The space from a table of ranges, for one model on one matrix.

        Parameters
        ----------
        table : mapping
            As in ``spaces.toml``.
        params : mapping
            Parameters of the tuned model, for `when`.
        shape : tuple of int
            Numbers of users and items, for `at_most`.

        Raises
        ------
        TypeError, ValueError
            If the table is invalid; the message names the parameter.
        """
        if not isinstance(table, Mapping):
            raise TypeError(f"space must be a table of ranges, not {shown(table)}")
        try:
            return cls._resolved(table, params, shape)
        except (TypeError, ValueError) as error:
            # Names of parameters may be anyone's.
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(one_line(error, 500)) from None

    @classmethod
    def _resolved(
        cls, table: Mapping[str, Any], params: Mapping[str, Any], shape: tuple[int, int]
    ) -> "Space":
        dimensions: dict[str, Dimension] = {}
        constants: Params = {}
        counts_as: dict[str, str] = {}
        for name, given in table.items():
            if not isinstance(given, Mapping | list):
                constants[name] = _plain(name, given)
                continue
            for entry in given if isinstance(given, list) else [given]:
                if not isinstance(entry, Mapping):
                    raise TypeError(f"space: {name} must be {_FORM}, not {shown(given)}")
                if not _applies(name, entry.get("when", {}), params):
                    continue
                found = _dimension(name, entry, params, shape)
                if "counts_as" in entry:
                    counts_as[name] = _counted_as(name, entry["counts_as"], table)
                    found = Choice(found) if isinstance(found, tuple) else found
                if isinstance(found, Int | Real | Choice):
                    dimensions[name] = found
                else:
                    constants[name] = found[0]
                break
        return cls(dimensions, constants, counts_as)

    @property
    def effective(self) -> dict[str, Dimension]:
        """The dimension of each searched parameter, by the parameter's name."""
        return self.params(self.dimensions)

    def params(self, point: Mapping[str, Any]) -> Params:
        """The parameters of a point."""
        kept = {n: value for n, value in point.items() if n not in self.counts_as.values()}
        return {self.counts_as.get(name, name): value for name, value in kept.items()}

    def point(self, params: Params) -> dict[str, Any]:
        """The point of some parameters, without dimensions that are not used.

        Raises
        ------
        ValueError
            If a value is missing, out of range, or of a parameter that is not searched; the message
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
        """Check that each of these parameters is searched and its value in the range.

        Raises
        ------
        ValueError
            As `point`.
        """
        for name, value in params.items():
            dimension = self.effective.get(name)
            if dimension is None:
                raise ValueError(f"{name}, which is not searched")
            whole = isinstance(value, int) or not isinstance(dimension, Int)
            if dimension.height(value) is None or not whole:
                raise ValueError(f"{name} {shown(value)}")

    def to_dict(self) -> dict[str, Any]:
        """The space as a table of ranges, clipped and without conditions."""
        tables = {name: dim.to_dict() for name, dim in self.dimensions.items()}
        for name, other in self.counts_as.items():
            tables[name]["counts_as"] = other
        return tables | self.constants


@cache
def _packaged() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("spaces.toml").read_text(encoding="utf-8"))


def packaged_space(model: Any) -> dict[str, Any] | None:
    """The table of ranges of a model, or None if it has none.

    Parameters
    ----------
    model : str or class
        Name of a model of the library; or any class, with the ranges that its fields declare.

    Returns
    -------
    dict
        A copy, to be changed and passed as `space`.
    """
    if isinstance(model, type):
        known = NAMES.get(model.__name__)
        if known is None or model_class(model.__name__) is not model:
            return copy.deepcopy(search_ranges(model)) or None
        model = model.__name__
    if model not in NAMES:
        return None
    declared = search_ranges(model_class(model))
    own = _packaged().get(model, {})
    order = _packaged()["order"].get(model, declared)
    ranges = {**declared, **own}
    return {name: copy.deepcopy(ranges[name]) for name in order} or None


def read_spaces(path: str | Path) -> dict[str, dict[str, Any]]:
    """The tables of ranges in a TOML file, by name of the model.

    Raises
    ------
    ValueError
        If the file cannot be read, is not TOML, or holds anything but tables.
    """
    path, name = Path(path), printable(str(path))
    try:
        content = toml_files.read(path)
    except DataError as error:
        raise ValueError(f"the space file {error}") from None
    plain = [name for name, table in content.items() if not isinstance(table, dict)]
    if plain:
        raise ValueError(
            f"the space file {name} must hold a table for each model, such as [ItemKNN], but "
            f"{printable(plain[0], 80)} is {shown(content[plain[0]])}"
        )
    return content


def table_for(
    model: str, space: Mapping[str, Any] | str | Path | None, make: Any = None
) -> tuple[dict[str, Any], bool]:
    """The table of ranges for a model, and whether it is the packaged one.

    Parameters
    ----------
    model : str
        Its name.
    space : mapping or path, optional
    make : class or function, optional
        What makes it, if it is not of the library.

    Raises
    ------
    TypeError, ValueError
        If `space` is neither a mapping nor a TOML file, or the model has no table.
    """
    if isinstance(space, str | Path):
        tables = read_spaces(space)
        for name in tables:
            if name != model and name not in NAMES:
                raise ValueError(
                    f"the space file {printable(str(space))} has a table for {shown(name)}, which "
                    f"is no model{suggestion(name, [model, *NAMES])}"
                )
        if model in tables:
            return tables[model], False
    elif isinstance(space, Mapping):
        return dict(space), False
    elif space is not None:
        raise TypeError(f"space must be a dict or the path of a TOML file, not {shown(space)}")
    table = packaged_space(make if isinstance(make, type) else model)
    if table is None:
        raise ValueError(
            f"space must be given for {model}, which has no ranges of its own "
            f'(such as space={{"topk": {{"int": [5, 100]}}}})'
        )
    return table, True


def searched(dimension: Dimension) -> bool:
    """Whether the dimension has more than one value."""
    return not isinstance(dimension, Choice) or len(dimension.choices) > 1


def without(table: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The table with `fixed` parameters as constants, except for ``{ choice = "given" }``."""
    kept = {name for name in fixed if table.get(name) == {"choice": _GIVEN}}
    constants = {name: value for name, value in fixed.items() if name not in kept}
    left = {name: given for name, given in table.items() if _replaced(given) not in constants}
    return {**left, **constants}


def _replaced(given: Any) -> Any:
    """The parameter that an entry counts as, if any."""
    entry = given[0] if isinstance(given, list) and given else given
    return entry.get("counts_as") if isinstance(entry, Mapping) else None


def _counted_as(name: str, other: object, table: Mapping[str, Any]) -> str:
    if (
        not isinstance(other, str)
        or other == name
        or not isinstance(table.get(other), Mapping | list)
    ):
        raise ValueError(f"space: counts_as of {name} must be another range, not {shown(other)}")
    return other


def _applies(name: str, when: object, params: Mapping[str, Any]) -> bool:
    if not isinstance(when, Mapping):
        raise TypeError(f"space: when of {name} must be a table, not {shown(when)}")
    return all(_meets(name, params.get(other), wanted) for other, wanted in when.items())


def _meets(name: str, value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return value in (wanted if isinstance(wanted, list | tuple) else [wanted])
    if set(wanted) != {"above"}:
        raise ValueError(
            f"space: when of {name} must be values or {{ above = number }}, not {shown(wanted)}"
        )
    return isinstance(value, int | float) and value > wanted["above"]


_GIVEN = "given"
_KINDS = ("int", "real", "choice")
_FORM = "{ int = [low, high] }, { real = [low, high] } or { choice = [...] }"


def _dimension(
    name: str, entry: Mapping[str, Any], params: Mapping[str, Any], shape: tuple[int, int]
) -> Dimension | tuple[Any]:
    """A range; a tuple of one number if clipping leaves only one."""
    kinds = [kind for kind in _KINDS if kind in entry]
    unknown = set(entry) - {*_KINDS, "log", "at_most", "when", "counts_as"}
    if len(kinds) != 1 or unknown:
        raise ValueError(f"space: {name} must be {_FORM}, not {shown(dict(entry))}")
    [kind] = kinds
    values = entry[kind]
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if values == _GIVEN:
        values = [params.get(name)]
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"space: {name} must be {_FORM}, not {shown(dict(entry))}")
    if kind == "choice":
        choices = tuple(_plain(name, value) for value in values)
        if not choices or "log" in entry or "at_most" in entry:
            raise ValueError(
                f"space: {name} must be a choice of at least one value, not {shown(dict(entry))}"
            )
        # True is no 1, and 1.0 is: to a model both are one choice.
        if len({(isinstance(choice, bool), choice) for choice in choices}) < len(choices):
            raise ValueError(f"space: {name} holds a choice twice: {shown(list(choices))}")
        return Choice(choices)
    log = entry.get("log", False)
    if len(values) != 2 or not isinstance(log, bool):
        raise ValueError(f"space: {name} must be {_FORM}, not {shown(dict(entry))}")
    low, high = (_number(name, kind, value) for value in values)
    if not low < high or (log and low <= 0):
        wanted = "0 < low < high" if log else "low < high"
        raise ValueError(f"space: {name} needs {wanted}, not {shown(list(values))}")
    if "at_most" in entry:
        limit = _limit(name, entry["at_most"], shape)
        low, high = min(low, limit), min(high, limit)
    if low == high:
        return (low,)
    return Int(int(low), int(high), log) if kind == "int" else Real(low, high, log)


def _number(name: str, kind: str, value: Any) -> Any:
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise TypeError(f"space: an end of {name} must be a number, not {shown(value)}")
    if kind == "int":
        if not isinstance(value, int):
            raise TypeError(f"space: an end of {name} must be a whole number, not {shown(value)}")
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"space: an end of {name} must fit 64 bits, not {shown(value)}")
        return value
    return float(value)


def _limit(name: str, what: object, shape: tuple[int, int]) -> int:
    if not isinstance(what, str) or what not in _LIMITS:
        raise ValueError(
            f"space: at_most of {name} must be one of {list(_LIMITS)}, not {shown(what)}"
        )
    return _LIMITS[what](*shape)


def _plain(name: str, value: Any) -> Any:
    value = plain(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"space: {name} must be {_FORM}, or a plain value, not {shown(value)}")
