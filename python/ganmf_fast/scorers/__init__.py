"""Forms of fitted models from which scores and top-N lists are computed.

Those that a model of one's own may return from `_fit` are reached from here, such as
``gf.scorers.Factors``, and loaded on first use; ``__init__.pyi`` lists them. `csr_from_sparse`
makes the matrices that they take of scipy's.
"""

import importlib

from ganmf_fast.base.lazy import stub_imports

_FORMS = stub_imports(__file__)


def __getattr__(name: str) -> object:
    if name in _FORMS:
        return getattr(importlib.import_module(_FORMS[name]), name)
    raise AttributeError(f"module 'ganmf_fast.scorers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(_FORMS)
