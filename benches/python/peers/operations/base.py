"""What an operation is, and the usual ways to compare answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OURS = "ours"

Answers = Mapping[str, Mapping[str, Any]]
"""Arrays of each package that answered, ours first."""


@dataclass(frozen=True)
class Verdict:
    """Whether an answer counts, and what the report says about it."""

    agrees: bool
    detail: str = ""


@dataclass(frozen=True)
class Operation:
    """Something that packages do.

    Attributes
    ----------
    name : str
        Also the name of the function in each adapter.
    title : str
        For the report.
    datasets : tuple of str
        What it is done on.
    packages : tuple of str
        Who does it, ours first.
    inputs : callable
        Inputs for a data set, the same in every process.
    check : callable
        Verdicts on the answers, by package.
    note : str
        What is compared, for the report.
    yardsticks : tuple of str
        Packages that do less than the whole operation: shown, never the best peer.
    only : mapping
        Packages that are left out on all but these data sets.
    """

    name: str
    title: str
    datasets: tuple[str, ...]
    packages: tuple[str, ...]
    inputs: Callable[[str], Any]
    check: Callable[[str, Answers], dict[str, Verdict]]
    note: str = ""
    yardsticks: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] | None = None

    def packages_for(self, dataset: str) -> tuple[str, ...]:
        """Who is measured on a data set."""
        only = self.only or {}
        return tuple(p for p in self.packages if dataset in only.get(p, (dataset,)))


def against_first(
    difference: Callable[[Mapping[str, Any], Mapping[str, Any]], str], answers: Answers
) -> dict[str, Verdict]:
    """Compare everyone with the first; `difference` is empty where they agree."""
    reference = next(iter(answers.values()), None)
    verdicts = {}
    for name, answer in answers.items():
        text = "" if answer is reference or reference is None else difference(reference, answer)
        verdicts[name] = Verdict(not text, text)
    return verdicts


def against_best(
    values: Mapping[str, float], what: str, tolerance: float, shown: str = "{:.6g}"
) -> dict[str, Verdict]:
    """Agree if a value that all of them minimise is within `tolerance` of the smallest."""
    best = min(values.values(), default=0.0)
    verdicts = {}
    for name, value in values.items():
        excess = (value - best) / abs(best)
        text = f"{what} {shown.format(value)}"
        if excess > tolerance:
            text += f", {excess:.2%} above the best"
        verdicts[name] = Verdict(excess <= tolerance, text)
    return verdicts
