"""Saved models back as estimators."""

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from ganmf_fast.base import json_files
from ganmf_fast.base.checks import check_path
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import shown
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.history import with_current_names
from ganmf_fast.models.model_file import ModelFile, damage_refused
from ganmf_fast.models.registry import model_class

_LEARNED: dict[str, Any] = {
    "best_epoch_": Annotated[int, Meta(ge=0, le=2**53)],
    "history_": list[dict[str, int | float | None]],
    "chosen_params_": dict[str, int | float | str],
}
"""Types of the attributes that models save."""

_EARLIER: dict[str, Any] = {"chosen_params_": {}}
"""Values of those that older files do not have."""


def load(path: str | Path, model: type[Recommender] | None = None) -> Recommender:
    """Read a model that `Recommender.save` wrote; torch is not needed.

    Parameters
    ----------
    path : str or Path
    model : subclass of Recommender, optional
        Class of a model that is not of this library: a file never says what code to import.

    Returns
    -------
    Recommender
        Fitted, of the class that was saved.

    Raises
    ------
    DataError
        (a ``ValueError``) If the file does not exist, is cut short or damaged, comes from a newer
        version, or names a model that does not exist. The message names the file.
    TypeError
        If `path` is none, or `model` is no such class.
    """
    if model is not None and not (isinstance(model, type) and issubclass(model, Recommender)):
        raise TypeError(f"model must be a subclass of Recommender, not {shown(model)}")
    path = check_path("path", path)
    with damage_refused(path):
        file = ModelFile.read(path)
        cls = _class_of(file, path, model)
        found = cls.from_parts(file.params, file.urm, file.scorer, file.ids)
        for name in cls.saved_attributes:
            kept = (
                file.learned.get(name, _EARLIER[name]) if name in _EARLIER else file.learned[name]
            )
            value = json_files.typed(kept, _LEARNED.get(name, Any))
            setattr(found, name, with_current_names(value) if name == "history_" else value)
    return found


def _class_of(
    file: ModelFile, path: str | Path, given: type[Recommender] | None
) -> type[Recommender]:
    if given is None:
        try:
            return model_class(file.model)
        except ValueError as error:
            raise DataError(
                f"the model file {path}: {error}; a class of one's own is given as "
                "ganmf_fast.load(path, model=Class)"
            ) from None
    if file.model != given.__name__:
        raise DataError(f"the model file {path} holds a {shown(file.model)}, no {given.__name__}")
    return given
