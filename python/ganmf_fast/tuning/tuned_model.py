"""The model of a search, given by name, class, function or instance."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ganmf_fast.base.checks import plain
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.models.own_model import parameters_of
from ganmf_fast.models.registry import fittable_class
from ganmf_fast.tuning.spaces import Params


@dataclass(frozen=True)
class TunedModel:
    """A model whose parameters are searched.

    Attributes
    ----------
    name : str
        Name of the class.
    make : callable
        Takes parameters, returns an unfitted model.
    params : dict
        Every parameter with its value where it is not searched; of a function with ``**kwargs``
        those that it names.
    is_instance : bool
        Whether the parameters are those of an instance.
    takes_any : bool
        Whether `make` takes other parameters as well.
    """

    name: str
    make: Callable[..., Any]
    params: Params
    is_instance: bool
    takes_any: bool

    @classmethod
    def from_argument(cls, model: object) -> "TunedModel":
        """From a name, a class, another callable, or an instance with `get_params`.

        Raises
        ------
        TypeError, ValueError
            If it is none of these, or there is no model of this name.
        ImportError
            If the model needs a package that is missing; the message names the extra.
        """
        if isinstance(model, str):
            model = fittable_class(model)
        if callable(model) and (isinstance(model, type) or not hasattr(model, "get_params")):
            name = getattr(model, "__name__", type(model).__name__)
            params, takes_any = parameters_of(model)
            return cls(name, model, params, is_instance=False, takes_any=takes_any)
        if hasattr(model, "get_params"):
            params = dict(model.get_params(deep=False))
            return cls(type(model).__name__, type(model), params, is_instance=True, takes_any=False)
        raise TypeError(
            "model must be the name of a model, a class, a function that makes one, or an instance "
            f"with get_params, not {shown(model)}"
        )

    @property
    def identity(self) -> str:
        """The name, with the module for models that are not part of this library."""
        make = self.make.func if isinstance(self.make, partial) else self.make
        module = getattr(make, "__module__", "")
        if module.partition(".")[0] == "ganmf_fast":
            return self.name
        return f"{module}.{getattr(make, '__qualname__', self.name)}"

    def check(self, names: Mapping[str, object]) -> None:
        """Check that each of `names` is a parameter.

        Raises
        ------
        ValueError
            If one is not; the message suggests the nearest.
        """
        for name in names:
            if not self.takes_any and name not in self.params:
                raise ValueError(
                    f"space: {self.name} has no parameter {shown(name)}"
                    f"{suggestion(name, self.params)}"
                )


def bound_values(function: object) -> dict[str, Any] | None:
    """Plain values that a function without a name of its own holds: what tells it from others.

    Those of a `functools.partial` and of a closure, and the constants of a lambda; None for
    functions and classes that their module and name stand for. Other objects count by their type.
    """
    if isinstance(function, partial):
        inner = bound_values(function.func) or {}
        given = {str(place): value for place, value in enumerate(function.args)}
        return {**inner, **_plain_values({**given, **function.keywords})}
    code = getattr(function, "__code__", None)
    if code is None or "<" not in function.__qualname__:  # type: ignore[attr-defined]
        return None
    held = {}
    cells = function.__closure__ or ()  # type: ignore[attr-defined]
    for name, cell in zip(code.co_freevars, cells, strict=True):
        with suppress(ValueError):  # it is empty
            held[name] = cell.cell_contents
    if function.__name__ == "<lambda>":  # type: ignore[attr-defined]
        held["names"] = " ".join(code.co_names)
        held |= {f"constant {place}": value for place, value in enumerate(code.co_consts)}
    return _plain_values(held)


def _plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    value = plain(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    return repr(value) if isinstance(value, float) else type(value).__name__
