"""Tuning ItemKNN: 6 similarities, 50 settings each, fits only."""

from peers.inputs import interactions
from peers.operations.base import Answers, Operation, Verdict

SIMILARITIES = ("cosine", "asymmetric", "jaccard", "dice", "tversky", "euclidean")
SETTINGS = 50


def _check(_dataset: str, answers: Answers) -> dict[str, Verdict]:
    expected = len(SIMILARITIES) * SETTINGS
    return {
        name: Verdict(int(a["fits"]) == expected, f"{int(a['fits'])} fits")
        for name, a in answers.items()
    }


OPERATION = Operation(
    name="tuning",
    title="Tuning ItemKNN, 6 similarities x 50 settings, fits only",
    datasets=("ml-1m",),
    packages=("ours",),
    inputs=interactions,
    check=_check,
    note="No package offers this as one operation.",
)
