"""Pages of the report on one model on one data set."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ganmf_fast.report import gan_charts
from ganmf_fast.report.run_folder import ExperimentFolder
from ganmf_fast.report.run_record import RunRecord
from ganmf_fast.results.charts.base import Spec
from ganmf_fast.results.families import is_gan
from ganmf_fast.results.result_table import Entry

# Of all curves together, and of each; a point takes about 30 bytes.
_POINTS = 40_000
_PER_LINE = 200


@dataclass(frozen=True)
class Page:
    """What the report holds on one model on one data set."""

    anchor: str
    model: str
    dataset: str
    places: tuple[tuple[ExperimentFolder, Entry], ...]
    """Where it occurs: tables first, then the points of figures."""
    records: tuple[RunRecord, ...]
    """Its runs, each once."""
    curves: tuple[tuple[str, Spec], ...]
    point_curves: tuple[tuple[str, tuple[tuple[str, Spec], ...]], ...]
    """By what varies in a figure, such as the number of factors."""
    """Those of the runs at points of figures."""

    @property
    def tables(self) -> list[tuple[ExperimentFolder, Entry]]:
        """Tables it is a row of, but not one with the same runs again."""
        found: list[tuple[ExperimentFolder, Entry]] = []
        for experiment, entry in self.places:
            if is_table(experiment) and entry.runs not in [other.runs for _, other in found]:
                found.append((experiment, entry))
        return found


def is_table(experiment: ExperimentFolder) -> bool:
    """Whether an experiment is a table of models, not a figure."""
    return experiment.comparison.chart == "bars"


def model_pages(experiments: Sequence[ExperimentFolder], taken: set[str]) -> list[Page]:
    """The pages, all of a data set together; `taken` holds the anchors in use."""
    places: dict[tuple[str, str], list[tuple[ExperimentFolder, Entry]]] = {}
    for experiment in experiments:
        comparison = experiment.comparison
        for entry in comparison.entries if comparison.cutoffs or experiment.records else ():
            places.setdefault((comparison.label, entry.model), []).append((experiment, entry))
    runs = {key: _runs(found) for key, found in places.items()}
    lines = sum(len(record.histories) * 4 for records in runs.values() for record in records)
    most = min(_PER_LINE, max(20, _POINTS // max(lines, 1)))

    def curves(model: str, records: Iterable[RunRecord]) -> tuple[tuple[str, Spec], ...]:
        return tuple(gan_charts.training(list(records), most)) if is_gan(model) else ()

    return [
        Page(
            anchor(f"model-{dataset}-{model}", taken),
            model,
            dataset,
            tuple(found),
            runs[dataset, model],
            curves(model, (r for r in runs[dataset, model] if r.point is None)),
            tuple(
                (axis, made)
                for axis, records in _by_axis(found).items()
                if (made := curves(model, records))
            ),
        )
        # All of a data set together.
        for (dataset, model), found in sorted(places.items(), key=lambda item: item[0][0])
    ]


def _by_axis(places: Iterable[tuple[ExperimentFolder, Entry]]) -> dict[str, list[RunRecord]]:
    """Records at points of figures, by what varies there."""
    groups: dict[str, list[tuple[ExperimentFolder, Entry]]] = {}
    for experiment, entry in places:
        if experiment.comparison.axis:
            groups.setdefault(experiment.comparison.axis, []).append((experiment, entry))
    records = {
        axis: [r for r in _runs(found) if r.point is not None] for axis, found in groups.items()
    }
    return {axis: found for axis, found in records.items() if found}


def _runs(places: Iterable[tuple[ExperimentFolder, Entry]]) -> tuple[RunRecord, ...]:
    """Records behind entries; one that figures took over from a table counts once."""
    found: dict[str, RunRecord] = {}
    for experiment, entry in places:
        for record in experiment.records_of(entry):
            found.setdefault(json.dumps([record.params, record.seed], sort_keys=True), record)
    return tuple(found.values())


def anchor(text: str, taken: set[str]) -> str:
    """A name for links, of plain letters, that no other thing has."""
    stem = re.sub(r"[^a-z0-9]+", "-", text.lower())[:80].strip("-")
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return name
