"""Models by name, each loaded when it is first used."""

import difflib
import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganmf_fast.models.base import Recommender

NAMES: dict[str, str] = {
    "TopPopular": "ganmf_fast.models.popularity",
    "Random": "ganmf_fast.models.random",
    "PureSVD": "ganmf_fast.models.svd",
    "ItemKNN": "ganmf_fast.models.knn",
    "UserKNN": "ganmf_fast.models.knn",
    "P3alpha": "ganmf_fast.models.random_walk",
    "RP3beta": "ganmf_fast.models.random_walk",
    "SLIMBPR": "ganmf_fast.models.slim_bpr",
    "SLIMElasticNet": "ganmf_fast.models.slim_elastic_net",
    "EASE": "ganmf_fast.models.ease",
    "WRMF": "ganmf_fast.models.wrmf",
    "GANMF": "ganmf_fast.gan.ganmf.estimator",
    "BinGANMF": "ganmf_fast.gan.binganmf",
    "CFGAN": "ganmf_fast.gan.cfgan",
    "CAAE": "ganmf_fast.gan.caae",
}
"""Module of each model."""

__all__ = [
    "CAAE",
    "CFGAN",
    "EASE",
    "GANMF",
    "NAMES",
    "SLIMBPR",
    "WRMF",
    "BinGANMF",
    "ItemKNN",
    "P3alpha",
    "PureSVD",
    "RP3beta",
    "Random",
    "SLIMElasticNet",
    "TopPopular",
    "UserKNN",
    "model_class",
]

_NEEDS = dict.fromkeys(("GANMF", "BinGANMF", "CFGAN", "CAAE"), ("torch", "gan"))
"""Package that a model needs to be fitted, and the extra that installs it."""


def model_class(name: str) -> "type[Recommender]":
    """Class of the model called `name`, also where a package that only fitting needs is absent.

    Raises
    ------
    ValueError
        If there is no such model; the message suggests the nearest name.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no model {name!r}{hint} (models are {', '.join(NAMES)})")
    found: type[Recommender] = getattr(importlib.import_module(NAMES[name]), name)
    return found


def __getattr__(name: str) -> object:
    if name in NAMES:
        if name in _NEEDS:
            package, extra = _NEEDS[name]
            if importlib.util.find_spec(package) is None:
                raise ImportError(f'{name} needs {package}: pip install "ganmf-fast[{extra}]"')
        return model_class(name)
    raise AttributeError(f"module 'ganmf_fast.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
