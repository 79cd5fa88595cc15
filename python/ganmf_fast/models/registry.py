"""The models by name, each loaded when it is first used.

The stub ``__init__.pyi`` beside this file is the list of models, with one import for each.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING

from ganmf_fast.base.errors import unknown
from ganmf_fast.base.lazy import stub_imports

if TYPE_CHECKING:
    from ganmf_fast.models.base import Recommender

NAMES: dict[str, str] = stub_imports(__file__)
"""Module of each model."""


_FOLDED = {name.casefold(): name for name in NAMES}


def known_name(name: str) -> str | None:
    """The name of a model as it is written, from one in any case; None if there is none."""
    return _FOLDED.get(name.casefold())


def model_class(name: str) -> "type[Recommender]":
    """Class of the model called `name`, in any case, also without packages that fitting needs.

    Raises
    ------
    ValueError
        If there is no such model; the message suggests the nearest name.
    """
    known = known_name(name)
    if known is None:
        raise ValueError(unknown("model", name, NAMES))
    found: type[Recommender] = getattr(importlib.import_module(NAMES[known]), known)
    return found


def fittable_class(name: str) -> "type[Recommender]":
    """`model_class`, if the packages that fitting needs are installed.

    Raises
    ------
    ValueError
        If there is no such model.
    ImportError
        If a package is absent; the message says how to install it.
    """
    if NAMES.get(known_name(name) or "", "").startswith("ganmf_fast.gan."):
        need_torch(name)
    return model_class(name)


def need_torch(name: str) -> None:
    """Raise ImportError, with the way out, if torch is absent, which fits of this model need."""
    if importlib.util.find_spec("torch") is None:
        raise ImportError(f'{name} needs torch: pip install "ganmf-fast[gan]"')
