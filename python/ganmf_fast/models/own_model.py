"""Models that are not of this library: what is asked of them, and code that a user names.

Anything with ``fit(X)`` and ``recommend(users, n=...)`` is a model: X is a scipy csr_array whose
rows are users, `users` are rows of it, and the lists are items (columns), best first, without those
that were fitted. If its attribute `iterative` is true, ``fit`` also takes ``validation=`` and sets
`best_epoch_`.
"""

import importlib
import inspect
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.checks import as_array
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown

_CODE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def names_code(text: str) -> bool:
    """Whether a text has the form ``package.module:Class``."""
    return _CODE.fullmatch(text) is not None


def imported(text: str) -> Any:
    """The class that ``package.module:Class`` names.

    The module is run, as by any import: for what a user types, never for what a file says.

    Raises
    ------
    ValueError
        If there is no such module or class.
    TypeError
        If it is no class with `fit` and `recommend`.
    """
    module, _, name = text.partition(":")
    try:
        found = importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
        raise ValueError(f"{shown(text)} cannot be imported: {error}") from None
    cls = getattr(found, name, None)
    if cls is None:
        classes = [known for known, value in vars(found).items() if isinstance(value, type)]
        raise ValueError(f"module {module} has no class {shown(name)}{suggestion(name, classes)}")
    missing = [method for method in ("fit", "recommend") if not callable(getattr(cls, method, 0))]
    if not isinstance(cls, type) or missing:
        what = f"has no {missing[0]}" if isinstance(cls, type) else "is no class"
        raise TypeError(f"{shown(text)} {what}: a model is a class with fit and recommend")
    return cls


def parameters_of(make: Any) -> tuple[dict[str, Any], bool]:
    """Parameters of a class or function with their defaults, and whether it takes any others.

    Those without a default have None.
    """
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return {}, True
    named = (p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    params = {p.name: None if p.default is p.empty else p.default for p in named}
    return params, any(p.kind is p.VAR_KEYWORD for p in parameters)


def check_recommends(model: object) -> None:
    """Refuse what gives no lists.

    Raises
    ------
    TypeError
        If it has no method `recommend`, or is a class instead of a fitted model.
    """
    if isinstance(model, type):
        raise TypeError(f"model must be a fitted model, not the class {model.__name__}")
    if not callable(getattr(model, "recommend", None)):
        raise TypeError(f"model must have fit and recommend, which {type(model).__name__} has not")


def lists_of(model: Any, users: NDArray[np.int64], n: int) -> NDArray[np.int32]:
    """Top-N lists of a model that is not of this library.

    Parameters
    ----------
    model : object with ``recommend(users, n=...)``
        It returns item numbers of shape (n users, at most n), best first and padded with -1, or a
        tuple or object (`items`) that holds them.
    users : int64 array
    n : int

    Returns
    -------
    int32 array, shape (n users, n)

    Raises
    ------
    TypeError, ValueError
        If what it returns has another form.
    """
    name = type(model).__name__
    given = model.recommend(users, n=n)
    found = given[0] if isinstance(given, tuple) else getattr(given, "items", given)
    items: NDArray[Any] = as_array(f"what recommend of {name} returns", found)
    if items.ndim != 2 or len(items) != len(users):
        raise ValueError(
            f"recommend of {name} must return a list for each of {len(users)} users, an array of "
            f"shape ({len(users)}, {n}), not {items.shape}"
        )
    if items.dtype.kind not in "iu":
        raise TypeError(f"recommend of {name} must return item numbers, not {items.dtype}")
    bound = np.iinfo(np.int32)
    if items.size and (items.min() < bound.min or items.max() > bound.max):
        raise ValueError(f"recommend of {name} returns items beyond 32 bits")
    lists = np.full((len(users), n), -1, dtype=np.int32)
    lists[:, : items.shape[1]] = items[:, :n]
    return lists
