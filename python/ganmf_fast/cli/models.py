"""Models on the command line: by their names in tables and in Python, or code of one's own."""

import sys
from collections.abc import Iterable
from pathlib import Path

from ganmf_fast.experiments import variants
from ganmf_fast.experiments.variants import ModelVariant
from ganmf_fast.models.own_model import names_code

MODEL_HELP = (
    "Model, such as ItemKNN or EASE, or a row of the paper's table, such as GANMF-u, in any case; "
    "or a class of your own, package.module:Class."
)


def named(name: str) -> ModelVariant:
    """The row of a table, the model, or the class that a name stands for.

    Raises
    ------
    ValueError, TypeError
        As for `variants.select`.
    """
    find_code([name])
    return variants.named(name)


def find_code(names: Iterable[str]) -> None:
    """Let modules of the working folder be found, after all others, if one of `names` is code."""
    here = str(Path.cwd())
    if any(map(names_code, names)) and here not in sys.path:
        sys.path.append(here)
