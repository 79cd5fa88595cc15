"""The model of a search, given by name, class, function or instance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.models.own_model import parameters_of
from ganmf_fast.models.registry import fittable_class
from ganmf_fast.tuning.spaces import Params

__all__ = ["TunedModel"]


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
        module = getattr(self.make, "__module__", "")
        if module.partition(".")[0] == "ganmf_fast":
            return self.name
        return f"{module}.{getattr(self.make, '__qualname__', self.name)}"

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
