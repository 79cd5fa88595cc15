"""Hyperparameters declared once: type, default, range, search range and description in one field.

A class decorated with `hyperparameters`, whose fields come from `param`, is a dataclass. Its
signature and scikit-learn's ``get_params``, ``set_params``, ``clone`` and ``repr`` follow from the
fields; so do the checks (`check_params`), the section "Parameters" of its docstring, and the ranges
that are searched (`search_ranges`).
"""

import inspect
import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cache, wraps
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from ganmf_fast.base.checks import check_bool, check_choice, check_int, check_real
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import few, shown

_Class = TypeVar("_Class", bound=type)
_ALWAYS_THERE = object()
_SECTION = re.compile(r"^[A-Z][A-Za-z ]+\n-{3,}$", re.MULTILINE)


@dataclass(frozen=True)
class _Param:
    """Declaration of a field beyond its type and default."""

    doc: str
    at_least: float | None
    above: float | None
    at_most: float | None
    below: float | None
    search: Any
    check: Callable[[str, object], object] | None
    earlier: Any
    chosen: bool


def param(
    default: Any,
    doc: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    search: Any = None,
    check: Callable[[str, object], object] | None = None,
    kw_only: bool = False,
    earlier: Any = _ALWAYS_THERE,
    chosen: bool = False,
) -> Any:
    """Declare a hyperparameter.

    Parameters
    ----------
    default : int, float, bool, str or None
    doc : str
        Description; the range is added to its first paragraph, which is wrapped. Paragraphs after
        an empty line are kept as they are.
    at_least, above, at_most, below : float, optional
        Range of a number, ends included (`at_least`, `at_most`) or not (`above`, `below`).
    search : mapping, list of mappings, or constant, optional
        What `tune` searches, in the form of an entry of ``tuning/spaces.toml``: a range such as
        ``{"int": [5, 1000], "at_most": "items"}``, alternatives with ``when``, or a constant.
    check : callable, optional
        ``check(name, value)`` in place of the check that follows from type and range.
    kw_only : bool, default False
        Whether the parameter is passed by keyword alone, as those after `KW_ONLY` are.
    earlier : optional
        The value that stands for what was computed before the parameter existed: files of that
        time do not name it.
    chosen : bool, default False
        Whether None stands for a value that the model chooses when it is fitted; the type is that
        of the value.
    """
    described = _Param(doc, at_least, above, at_most, below, search, check, earlier, chosen)
    # Not an explicit False: it would overrule `KW_ONLY` in the class.
    passed: dict[str, Any] = {"kw_only": True} if kw_only else {}
    return field(default=default, metadata={"param": described}, **passed)


def param_of(cls: Any, name: str) -> Any:
    """Declare a hyperparameter as another class does."""
    declared = cls.__dataclass_fields__[name]
    return field(default=declared.default, kw_only=declared.kw_only, metadata=declared.metadata)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def hyperparameters(cls: _Class) -> _Class:
    """Make a class a dataclass of hyperparameters and document them in its docstring."""
    made: Any = dataclass(eq=False, repr=False)(cls)
    made.__doc__ = _documented(inspect.cleandoc(cls.__doc__ or ""), made)
    made.__init__ = _refusing(made.__init__)
    return made  # type: ignore[no-any-return]


def _refusing(init: Callable[..., None]) -> Callable[..., None]:
    """An initialiser that says which parameter an unknown one may be meant to be."""

    @wraps(init)
    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        cls: Any = type(self)
        names = _declared(cls)
        for name in kwargs:
            if name not in names:
                raise TypeError(
                    f"{cls.__name__} has no parameter {shown(name)}"
                    f"{suggestion(name, names)} (its parameters are {few(names, 40)})"
                )
        init(self, *args, **kwargs)

    return initialise


def check_params(params: object) -> None:
    """Check every hyperparameter of an instance, in the order of declaration.

    Raises
    ------
    TypeError, ValueError
        If a value is of another type or out of range; the message names parameter and value.
    """
    cls: Any = type(params)
    for name, (hint, declared) in _declared(cls).items():
        value = getattr(params, name)
        if value is None and declared.chosen:
            continue
        if declared.check is not None:
            declared.check(name, value)
        else:
            _check(name, value, hint, declared)


def search_ranges(cls: Any) -> dict[str, Any]:
    """What is searched of each hyperparameter that declares it, in the order of declaration."""
    return {
        name: declared.search
        for name, (_, declared) in _declared(cls).items()
        if declared.search is not None
    }


def earlier_params(cls: Any) -> dict[str, Any]:
    """Values of the hyperparameters that older files do not name."""
    return {
        name: declared.earlier
        for name, (_, declared) in _declared(cls).items()
        if declared.earlier is not _ALWAYS_THERE
    }


@cache
def _declared(cls: Any) -> dict[str, tuple[Any, _Param]]:
    """Type and declaration of each hyperparameter; none of a class that declares no fields."""
    if not is_dataclass(cls):
        return {}
    hints = get_type_hints(cls)
    declared: list[Field[Any]] = [f for f in fields(cls) if "param" in f.metadata]
    return {f.name: (hints[f.name], f.metadata["param"]) for f in declared}


def _check(name: str, value: object, hint: Any, declared: _Param) -> None:
    kinds = [kind for kind in _kinds(hint) if kind is not NoneType]
    if value is None and len(kinds) < len(_kinds(hint)):
        return
    [kind] = kinds
    if get_origin(kind) is Literal:
        check_choice(name, value, get_args(kind))
    elif kind is bool:
        check_bool(name, value)
    elif kind is int:
        high = declared.at_most
        check_int(name, value, int(declared.at_least or 0), None if high is None else int(high))
    elif kind is float:
        high = declared.at_most if declared.below is None else declared.below
        number = check_real(
            name,
            value,
            -math.inf if declared.at_least is None else declared.at_least,
            math.inf if high is None else high,
            above=declared.above,
        )
        if number == declared.below:
            raise ValueError(f"{name} must be less than {number:g}, not {number:g}")
    elif not isinstance(value, kind):
        raise TypeError(f"{name} must be a string, not {shown(value)}")


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Members of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def _documented(doc: str, cls: Any) -> str:
    """`doc` with the section "Parameters" in front of its first section."""
    # As in the signature: those that are passed by keyword alone come last.
    ordered = sorted(fields(cls), key=lambda item: bool(item.kw_only))
    entries = [_entry(item) for item in ordered if "param" in item.metadata]
    if not entries:
        return doc
    section = "\n".join(["Parameters\n----------", *entries])
    first = _SECTION.search(doc)
    if first is None:
        return f"{doc}\n\n{section}\n"
    return f"{doc[: first.start()]}{section}\n\n{doc[first.start() :]}"


def _entry(item: "Field[Any]") -> str:
    """One parameter, as numpydoc writes it."""
    declared: _Param = item.metadata["param"]
    first, *others = inspect.cleandoc(declared.doc).split("\n\n")
    wrapped = textwrap.fill(f"{first}{_range(declared)}", 92)
    body = textwrap.indent("\n\n".join([wrapped, *others]), "    ")
    return f"{item.name} : {_type(item)}\n{body}"


def _range(declared: _Param) -> str:
    if declared.at_least is not None and declared.at_most is not None:
        return f" Between {declared.at_least:g} and {_plain(declared.at_most)}."
    low = (
        f"at least {declared.at_least:g}"
        if declared.at_least is not None
        else f"greater than {declared.above:g}"
        if declared.above is not None
        else ""
    )
    high = (
        f"at most {_plain(declared.at_most)}"
        if declared.at_most is not None
        else f"less than {declared.below:g}"
        if declared.below is not None
        else ""
    )
    said = " and ".join(part for part in (low, high) if part)
    return f" {said[0].upper()}{said[1:]}." if said else ""


def _plain(number: float) -> str:
    if isinstance(number, int) and number >= 2**31 and number & (number + 1) == 0:
        return f"2^{number.bit_length()} - 1"
    return f"{number:g}"


def _type(item: "Field[Any]") -> str:
    kinds = _kinds(item.type)
    names = [
        "{" + ", ".join(f'"{choice}"' for choice in get_args(kind)) + "}"
        if get_origin(kind) is Literal
        else getattr(kind, "__name__", str(kind))
        for kind in kinds
        if kind is not NoneType
    ]
    default = "optional" if item.default is None else f"default {_shown(item.default)}"
    return f"{' or '.join(names)}, {default}"


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
