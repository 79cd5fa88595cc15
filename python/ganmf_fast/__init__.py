"""GAN-based and classical top-N recommendation: reproducible, exact and fast.

Everything is reached from here (``import ganmf_fast as gf``) and loaded on first use, so that the
import itself is quick and needs neither torch nor scipy. ``__init__.pyi`` lists the names.
"""

import importlib

from ganmf_fast.base.lazy import stub_imports as _stub_imports
from ganmf_fast.models.registry import NAMES as _MODELS

_MODULES = {
    "datasets": "ganmf_fast.data.datasets",
    "model_selection": "ganmf_fast.evaluation.model_selection",
    "models": "ganmf_fast.models",
    "plot": "ganmf_fast.results.plot",
    "scorers": "ganmf_fast.scorers",
    "split": "ganmf_fast.split",
    "tuning": "ganmf_fast.tuning",
}
_LAZY = {**_stub_imports(__file__), **dict.fromkeys(_MODELS, "ganmf_fast.models")}

__all__ = sorted([*_LAZY, "__version__"])


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("ganmf-fast")
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    errors = importlib.import_module("ganmf_fast.base.errors")
    near = "" if name.startswith("_") else errors.suggestion(name, __all__)
    raise AttributeError(f"module 'ganmf_fast' has no attribute {name!r}{near}")


def __dir__() -> list[str]:
    return __all__
