"""Models side by side: the paper's tables 2 and 3, and the adversarial models of others."""

from dataclasses import replace
from typing import ClassVar

from ganmf_fast.experiments.experiment import Experiment
from ganmf_fast.experiments.variants import VARIANTS, select
from ganmf_fast.results.result_table import ResultTable

STRONG = ("RP3beta", "SLIM-ElasticNet", "EASE-R")
"""Rows that a comparison with GANMF needs, and the paper's does not have."""


class Table2(Experiment):
    """Every model on one data set."""

    name: ClassVar[str] = "table2"
    title: ClassVar[str] = "Comparison"
    rows: ClassVar[tuple[str, ...]] = tuple(row.name for row in select(None))
    options: ClassVar[tuple[str, ...]] = ("models", "params", "n_calls", "cutoffs")

    def comparison(self) -> ResultTable:
        """What the folder holds now, with a test of every difference from the best."""
        comparison = super().comparison()
        strong = [model for model in comparison.models if model in STRONG]
        note = f"Strong, and left out by the paper's table: {', '.join(strong)}." if strong else ""
        return replace(comparison, note=note, significance=self._significance(comparison))


class Table3(Table2):
    """GANMF beside binGANMF, whose discriminator is a binary classifier."""

    name: ClassVar[str] = "table3"
    title: ClassVar[str] = "Table 3: autoencoder or binary classifier as discriminator"
    rows: ClassVar[tuple[str, ...]] = (
        "GANMF-u",
        "GANMF-i",
        *(f"binGANMF-{mode}{way}" for mode in "ui" for way in ("", "-corrected")),
    )


class Adversarial(Table2):
    """Adversarial models of other papers beside controls and models without a game."""

    name: ClassVar[str] = "adversarial"
    title: ClassVar[str] = "Adversarial models beside linear ones"
    rows: ClassVar[tuple[str, ...]] = (
        "EASE-R",
        *(row.name for row in VARIANTS if row.beyond),
    )
    of_the_paper: ClassVar[bool] = False

    def comparison(self) -> ResultTable:
        """As that of table 2; no other table left anything out."""
        return replace(super().comparison(), note="")
