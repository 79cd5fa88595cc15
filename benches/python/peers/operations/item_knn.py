"""ItemKNN: the 100 most similar items of each item by cosine."""

from collections.abc import Mapping
from typing import Any

from peers.agree import same_neighbours
from peers.inputs import SYNTHETIC, from_arrays, interactions
from peers.operations.base import Answers, Operation, Verdict, against_first

TOPK = 100


def _difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return same_neighbours(from_arrays(mine), from_arrays(theirs), TOPK)


def _check(_dataset: str, answers: Answers) -> dict[str, Verdict]:
    return against_first(_difference, answers)


OPERATION = Operation(
    name="item_knn",
    title="ItemKNN, cosine, k = 100",
    datasets=("ml-1m", SYNTHETIC),
    packages=(
        "ours",
        "similaripy",
        "implicit",
        "irspack",
        "sparse_dot_topn",
        "skrecsys",
        "lenskit",
    ),
    inputs=interactions,
    check=_check,
    note="Same neighbours up to ties. Packages that list an item as its own neighbour are asked "
    "for 101.",
)
