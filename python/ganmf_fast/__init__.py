"""GAN-based and classical top-N recommendation: reproducible, exact and fast.

Everything is reached from here (``import ganmf_fast as gf``) and loaded on first use, so that the
import itself is quick and needs neither torch nor matplotlib.
"""

import importlib
from importlib.metadata import version as _version

__version__ = _version("ganmf-fast")

_MODULES = frozenset({"datasets", "models", "split"})
_ATTRIBUTES = {
    "Interactions": "ganmf_fast.data.interactions",
    "Splits": "ganmf_fast.split",
    "evaluate": "ganmf_fast.evaluation",
    "evaluate_lists": "ganmf_fast.evaluation",
    "load": "ganmf_fast.persistence",
    "set_num_threads": "ganmf_fast.threads",
}
_MODELS = ("TopPopular", "PureSVD", "ItemKNN", "P3alpha", "EASE", "GANMF")

__all__ = ["__version__", *sorted(_MODULES), *sorted(_ATTRIBUTES), *_MODELS]


def __getattr__(name: str) -> object:
    if name == "datasets":
        return importlib.import_module("ganmf_fast.data.datasets")
    if name in _MODULES:
        return importlib.import_module(f"ganmf_fast.{name}")
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    if name in _MODELS:
        return getattr(importlib.import_module("ganmf_fast.models"), name)
    raise AttributeError(f"module 'ganmf_fast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
