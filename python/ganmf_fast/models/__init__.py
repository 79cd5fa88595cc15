"""The models, each loaded when it is first used; ``__init__.pyi`` lists them."""

from ganmf_fast.models.registry import NAMES, fittable_class


def __getattr__(name: str) -> object:
    if name in NAMES:
        return fittable_class(name)
    raise AttributeError(f"module 'ganmf_fast.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(NAMES)
