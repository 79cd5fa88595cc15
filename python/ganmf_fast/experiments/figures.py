"""The paper's figures 4 to 7."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import reference
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.groups import profile_groups
from ganmf_fast.experiments.cosine import between_users
from ganmf_fast.experiments.experiment import Experiment
from ganmf_fast.experiments.planned_run import Files, Point, Values
from ganmf_fast.experiments.run_specs import RunSpec, run_specs
from ganmf_fast.experiments.variants import ModelVariant
from ganmf_fast.models.base import Recommender
from ganmf_fast.results.result_table import Chart, Entry, Key, ResultTable, Run
from ganmf_fast.results.store import Record, npz
from ganmf_fast.scorers.metrics import PER_USER
from ganmf_fast.split import Splits

GANMF_ROWS = ("GANMF-u", "GANMF-i")


class Figure4(Experiment):
    """GANMF by the share of feature matching in the generator's loss.

    At each point GANMF was tuned anew by the authors; their parameters are used where they are
    published.
    """

    name: ClassVar[str] = "figure4"
    title: ClassVar[str] = "Figure 4: share of feature matching"
    chart: ClassVar[Chart] = "lines"
    axis: ClassVar[str] = "recon_coefficient"
    rows: ClassVar[tuple[str, ...]] = GANMF_ROWS
    options: ClassVar[tuple[str, ...]] = ("models", "points")
    points: ClassVar[tuple[float, ...]] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    quick_points: ClassVar[tuple[float, ...]] = (0.0, 0.4, 1.0)

    @classmethod
    def default_points(cls, splits: Splits, *, quick: bool) -> tuple[float, ...]:
        """The points of the paper."""
        return cls.quick_points if quick else cls.points

    @staticmethod
    def run_specs(
        rows: Sequence[ModelVariant], dataset: str | None, points: Sequence[float]
    ) -> list[RunSpec]:
        """A spec for each row at each point."""
        made = []
        for row, base in zip(rows, run_specs(rows, dataset), strict=True):
            known = reference.feature_matching(dataset, row.name) if dataset else {}
            for point in points:
                if point in known:
                    params = {**row.fixed, **known[point][0]}
                    made.append(RunSpec(row, params, "published for this point", point))
                else:
                    made.append(base.moved("recon_coefficient", point))
        return made

    def _published(self, at: Point) -> tuple[dict[Key, float], dict[Key, float]]:
        known = reference.feature_matching(self._dataset or "", at.row).get(at.point or 0.0)
        if known is None:
            return {}, {}
        figures = _figures(known[1], self._cutoffs)
        # See `reference.feature_matching`.
        older = at.row == "GANMF-u" and at.point == 1.0
        return _without_ndcg(figures) if older else (figures, {})


class Figure5(Experiment):
    """Likeness of the profiles that GANMF makes, with and without feature matching."""

    name: ClassVar[str] = "figure5"
    title: ClassVar[str] = "Figure 5: cosine between made user profiles"
    chart: ClassVar[Chart] = "heatmaps"
    axis: ClassVar[str] = "recon_coefficient"
    extra: ClassVar[Record] = {"measure": "cosine between made user profiles"}
    rows: ClassVar[tuple[str, ...]] = ("GANMF-u",)

    @staticmethod
    def run_specs(
        rows: Sequence[ModelVariant], dataset: str | None, points: Sequence[float]
    ) -> list[RunSpec]:
        """With the parameters of table 2, and with those of figure 4 without feature matching."""
        made = []
        for row in rows:
            (with_matching,) = run_specs([row], dataset)
            coefficient = float(with_matching.params["recon_coefficient"])
            (without,) = Figure4.run_specs([row], dataset, [0.0])
            made += [without, replace(with_matching, point=coefficient)]
        return made

    def _columns(self) -> tuple[Key, ...]:
        return ("cosine_mean", None), ("cosine_deviation", None)

    def _published(self, at: Point) -> tuple[dict[Key, float], dict[Key, float]]:
        found = reference.user_cosine(self._dataset or "").get("with" if at.point else "without")
        return ({} if found is None else dict(zip(self._columns(), found, strict=True))), {}

    def _measure(self, spec: RunSpec, model: Recommender) -> tuple[Values, Files]:
        found = between_users(model.user_factors_, model.item_factors_)
        values = {"cosine_mean": found.mean, "cosine_deviation": found.deviation}
        return values, {"cosine.npz": npz({"users": found.users, "cosine": found.sample})}

    def comparison(self) -> ResultTable:
        """What the folder holds now, with a sample of the cosines of one seed to draw."""
        squares = {
            record["point"]: found
            for name, record in self.store.records().items()
            if (found := self.store.cosine(name)) is not None
        }
        comparison = super().comparison()
        return replace(comparison, ranked="none", squares=dict(sorted(squares.items())))


class Figure6(Experiment):
    """Models by their number of latent factors, the other parameters as in table 2."""

    name: ClassVar[str] = "figure6"
    title: ClassVar[str] = "Figure 6: number of latent factors"
    chart: ClassVar[Chart] = "lines"
    axis: ClassVar[str] = "num_factors"
    rows: ClassVar[tuple[str, ...]] = ("PureSVD", "WRMF", *GANMF_ROWS)
    options: ClassVar[tuple[str, ...]] = ("models", "points")
    points: ClassVar[tuple[float, ...]] = (10, 30, 50, 100, 150, 250)
    quick_points: ClassVar[tuple[float, ...]] = (10, 50, 250)

    @classmethod
    def default_points(cls, splits: Splits, *, quick: bool) -> tuple[float, ...]:
        """The points of the paper that the matrix has a rank for."""
        most = min(splits.n_users, splits.n_items)
        return tuple(p for p in (cls.quick_points if quick else cls.points) if p <= most)

    @staticmethod
    def run_specs(
        rows: Sequence[ModelVariant], dataset: str | None, points: Sequence[float]
    ) -> list[RunSpec]:
        """A spec for each row at each point."""
        return [
            spec.moved("num_factors", int(point))
            for spec in run_specs(rows, dataset)
            for point in points
        ]

    def _columns(self) -> tuple[Key, ...]:
        return (("map", self._cutoffs[0]),)

    def _known_difference(self, row: str) -> str:
        if row == "PureSVD":
            return ""
        return "parameters of the points are not published: those of table 2 are used"

    def _published(self, at: Point) -> tuple[dict[Key, float], dict[Key, float]]:
        known = reference.latent_factors(self._dataset or "", at.row).get(int(at.point or 0))
        return ({}, {}) if known is None else _without_ndcg(_figures(known, self._cutoffs))


class Figure7(Experiment):
    """Models by the length of the users' profiles: four groups of about as many users each."""

    name: ClassVar[str] = "figure7"
    title: ClassVar[str] = "Figure 7: length of profiles"
    chart: ClassVar[Chart] = "groups"
    axis: ClassVar[str] = "group"
    rows: ClassVar[tuple[str, ...]] = (
        "TopPopular",
        "PureSVD",
        "ItemKNN-cosine",
        "P3alpha",
        "SLIM-BPR",
        "SLIM-ElasticNet",
        "EASE-R",
        "WRMF",
        *GANMF_ROWS,
    )
    quick_rows: ClassVar[tuple[str, ...]] = (
        "TopPopular", "PureSVD", "ItemKNN-cosine", "EASE-R", "GANMF-u",
    )  # fmt: skip
    n_groups: ClassVar[int] = 4

    def _columns(self) -> tuple[Key, ...]:
        return (("map", self._cutoffs[-1]),)

    def comparison(self) -> ResultTable:
        """What the folder holds now, the figures of each model parted by groups of users."""
        whole = super().comparison()
        csr = as_csr(self._splits.train, "train")
        lengths = np.diff(csr.indptr)
        names: dict[float, str] = {}
        entries: list[Entry] = []
        for entry in whole.entries:
            found: dict[float, list[Run]] = {}
            for run in entry.runs:
                cell = entry.model if run.seed is None else f"{entry.model}-{run.seed}"
                arrays = self.store.per_user(cell, len(lengths))
                group = profile_groups(lengths[arrays["users"]], self.n_groups)
                for number in np.unique(group):
                    inside = group == number
                    there = lengths[arrays["users"][inside]]
                    names[float(number)] = f"{there.min()}\N{EN DASH}{there.max()} items"
                    values = _means(arrays, inside, self._cutoffs)
                    found.setdefault(float(number), []).append(Run(run.seed, values, run.cost))
            entries += [
                replace(entry, runs=tuple(runs), published={}, incomparable={}, point=number)
                for number, runs in found.items()
            ] or [entry]
        return replace(whole, entries=tuple(entries), point_names=names, ranked="point")


def _figures(known: dict[int, dict[str, float]], cutoffs: Sequence[int]) -> dict[Key, float]:
    return {(m, k): v for k in cutoffs for m, v in known.get(k, {}).items()}


def _without_ndcg(figures: dict[Key, float]) -> tuple[dict[Key, float], dict[Key, float]]:
    """Figures to compare with, and those of the older NDCG."""
    return (
        {key: v for key, v in figures.items() if key[0] != "ndcg"},
        {key: v for key, v in figures.items() if key[0] == "ndcg"},
    )


def _means(
    arrays: dict[str, NDArray[np.float64]], inside: NDArray[np.bool_], cutoffs: Sequence[int]
) -> dict[Key, float]:
    """Figures of some of the users."""
    return {
        (metric, k): float(arrays[f"{metric}@{k}"][inside].mean())
        for metric in PER_USER
        for k in cutoffs
        if f"{metric}@{k}" in arrays
    }
