"""The paper's table 2: models side by side, with the published figures."""

from dataclasses import replace
from typing import ClassVar

from ganmf_fast.experiments.experiment import Experiment, published_dataset
from ganmf_fast.report.comparison import Comparison

__all__ = ["Table2", "published_dataset"]


class Table2(Experiment):
    """Every model on one data set."""

    name: ClassVar[str] = "table2"
    title: ClassVar[str] = "Comparison"

    def comparison(self) -> Comparison:
        """What the folder holds now, with a test of every difference from the best."""
        comparison = super().comparison()
        return replace(comparison, significance=self._significance(comparison))
