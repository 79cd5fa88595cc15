"""Saved models back as estimators."""

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from ganmf_fast.base import json_files
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.history import with_current_names
from ganmf_fast.models.model_file import ModelFile, damage_refused
from ganmf_fast.models.registry import model_class

__all__ = ["load"]

_LEARNED: dict[str, Any] = {
    "best_epoch_": Annotated[int, Meta(ge=0, le=2**53)],
    "history_": list[dict[str, int | float | None]],
}
"""Types of the attributes that models save."""


def load(path: str | Path) -> Recommender:
    """Read a model that `Recommender.save` wrote; torch is not needed.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Recommender
        Fitted, of the class that was saved.

    Raises
    ------
    DataError
        (a ``ValueError``) If the file does not exist, is cut short or damaged, comes from a newer
        version, or names a model that does not exist. The message names the file.
    """
    with damage_refused(path):
        file = ModelFile.read(path)
        cls = model_class(file.model)
        model = cls.from_parts(file.params, file.urm, file.scorer, file.ids)
        for name in cls.saved_attributes:
            value = json_files.typed(file.learned[name], _LEARNED[name])
            setattr(model, name, with_current_names(value) if name == "history_" else value)
    return model
