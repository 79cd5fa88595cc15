"""GAN-based and classical top-N recommendation: reproducible, exact and fast.

Everything is reached from here (``import ganmf_fast as gf``) and loaded on first use, so that the
import itself is quick and needs neither torch nor matplotlib.
"""

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see of the names below
    from ganmf_fast import models, split, tuning
    from ganmf_fast.base.threads import set_num_threads
    from ganmf_fast.data import datasets
    from ganmf_fast.data.interactions import Interactions
    from ganmf_fast.evaluation import compare, evaluate, evaluate_lists
    from ganmf_fast.gan.binganmf import BinGANMF
    from ganmf_fast.gan.caae import CAAE
    from ganmf_fast.gan.cfgan import CFGAN
    from ganmf_fast.gan.ganmf.estimator import GANMF
    from ganmf_fast.models.cooccurrence import Cooccurrence
    from ganmf_fast.models.ease import EASE
    from ganmf_fast.models.knn import ItemKNN, UserKNN
    from ganmf_fast.models.model_file import load
    from ganmf_fast.models.popularity import TopPopular
    from ganmf_fast.models.random import Random
    from ganmf_fast.models.random_walk import P3alpha, RP3beta
    from ganmf_fast.models.slim_bpr import SLIMBPR
    from ganmf_fast.models.slim_elastic_net import SLIMElasticNet
    from ganmf_fast.models.svd import PureSVD
    from ganmf_fast.models.wrmf import WRMF
    from ganmf_fast.split import Splits
    from ganmf_fast.tuning import tune

__version__ = _version("ganmf-fast")

_MODULES = frozenset({"datasets", "models", "split", "tuning"})
_ATTRIBUTES = {
    "Cooccurrence": "ganmf_fast.models.cooccurrence",
    "Interactions": "ganmf_fast.data.interactions",
    "Splits": "ganmf_fast.split",
    "compare": "ganmf_fast.evaluation",
    "evaluate": "ganmf_fast.evaluation",
    "evaluate_lists": "ganmf_fast.evaluation",
    "load": "ganmf_fast.models.model_file",
    "set_num_threads": "ganmf_fast.base.threads",
    "tune": "ganmf_fast.tuning",
}
_MODELS = (
    "TopPopular",
    "Random",
    "PureSVD",
    "ItemKNN",
    "UserKNN",
    "P3alpha",
    "RP3beta",
    "SLIMBPR",
    "SLIMElasticNet",
    "EASE",
    "WRMF",
    "GANMF",
    "BinGANMF",
    "CFGAN",
    "CAAE",
)

__all__ = [
    "CAAE",
    "CFGAN",
    "EASE",
    "GANMF",
    "SLIMBPR",
    "WRMF",
    "BinGANMF",
    "Cooccurrence",
    "Interactions",
    "ItemKNN",
    "P3alpha",
    "PureSVD",
    "RP3beta",
    "Random",
    "SLIMElasticNet",
    "Splits",
    "TopPopular",
    "UserKNN",
    "__version__",
    "compare",
    "datasets",
    "evaluate",
    "evaluate_lists",
    "load",
    "models",
    "set_num_threads",
    "split",
    "tune",
    "tuning",
]


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
