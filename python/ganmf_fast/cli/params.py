"""Parameters of models as NAME=VALUE texts on the command line."""

from collections.abc import Sequence
from typing import Any

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.models.own_model import parameters_of


def given_params(cls: Any, given: Sequence[str], option: str = "param") -> dict[str, Any]:
    """Parameters of a model from the NAME=VALUE texts of an option.

    Raises
    ------
    ValueError
        If a text has another form, or there is no such parameter.
    """
    defaults, takes_any = parameters_of(cls)
    params: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{option} must be NAME=VALUE, not {shown(text)}")
        if name not in defaults and not takes_any:
            hint = suggestion(name, defaults)
            raise ValueError(f"{cls.__name__} has no parameter {shown(name)}{hint}")
        if name in params:
            raise ValueError(f"{option} gives {name} twice: leave one out")
        params[name] = _typed(name, value, defaults.get(name))
    return params


def _typed(name: str, text: str, default: object) -> object:
    """The text as a value of the default's type."""
    kind = type(default)
    if kind is str:
        return text
    try:
        value = json_files.parse(text.lower() if kind is bool else text)
        if kind is float and type(value) is int:
            return float(value)
    except (ValueError, OverflowError):
        value = text
    if default is None or type(value) is kind or (kind is int and type(value) is float):
        # A fraction where a whole number belongs is refused by the model, in its own words.
        return value
    names = {bool: "true or false", int: "a whole number", float: "a number"}
    raise ValueError(f"{name} must be {names.get(kind, kind.__name__)}, not {shown(text)}")
