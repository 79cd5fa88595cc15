"""What a reader should know first, in sentences made from the figures of a run.

A finding is only made where the run holds the figures for it, and says no more than they do. The
first three in the order of :func:`findings` are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ganmf_fast.report.run_folder import ExperimentFolder, RunFolder
from ganmf_fast.results.charts.training import COLLAPSE
from ganmf_fast.results.families import is_gan
from ganmf_fast.results.result_table import Entry, Key, ResultTable, heading, signed
from ganmf_fast.results.search import SearchRecord, improvements

FEATURE_MATCHING = "recon_coefficient"
"""Weight of feature matching, the axis of figures 4 and 5."""

_LEVEL = 0.05


@dataclass(frozen=True)
class Finding:
    """A headline, a few sentences, and the section where the evidence stands."""

    title: str
    sentences: tuple[str, ...]
    section: str


def findings(folder: RunFolder, most: int = 3) -> list[Finding]:
    """The findings that matter: who is best, what agrees with the paper, what failed, what it cost.

    Parameters
    ----------
    folder : RunFolder
    most : int, default 3
    """
    tables = [table for table in main_tables(folder) if table.comparison.columns]
    made = [
        _best(tables),
        _agreement(folder.experiments),
        _collapse(folder.experiments),
        _below_popular(tables),
        _cost(tables),
        _seeds(tables),
        _searched(folder.searches),
    ]
    return [finding for finding in made if finding is not None][:most]


def collapses(experiment: ExperimentFolder, *, controls: bool = True) -> dict[str, float]:
    """Mean cosine between generated profiles at the end of training, the largest of the seeds.

    Parameters
    ----------
    experiment : ExperimentFolder
    controls : bool, default True
        Also of points without feature matching, which show that the generator collapses then.

    Returns
    -------
    dict of str to float
        By model, with its point in a figure.
    """
    found: dict[str, float] = {}
    figure = experiment.comparison.axis == FEATURE_MATCHING
    for record in experiment.records:
        if figure and record.point == 0 and not controls:
            continue
        cosine = record.histories[-1].last("generated_cosine") if record.histories else None
        if cosine is not None:
            name = experiment.comparison.name_of(record.row, record.point)
            found[name] = max(cosine, found.get(name, cosine))
    return found


def main_tables(folder: RunFolder) -> list[ExperimentFolder]:
    """The comparison of each data set: table 2 where it is there, else another table."""
    tables = [
        experiment
        for experiment in folder.experiments
        if experiment.comparison.chart == "bars"
        and any(entry.runs for entry in experiment.comparison.entries)
    ]
    found: dict[str, ExperimentFolder] = {}
    for table in sorted(tables, key=lambda table: table.comparison.experiment):
        found.setdefault(table.comparison.label, table)
    return list(found.values())


def _data(comparison: ResultTable) -> str:
    return f"{comparison.label}, in a quick run" if comparison.quick else comparison.label


def _ranking(comparison: ResultTable, key: Key) -> list[tuple[float, Entry]]:
    """Finished entries with their means, best first."""
    means = [(m, e) for e in comparison.entries if (m := e.mean(*key)) is not None]
    return sorted(means, key=lambda pair: -pair[0])


def _whole(experiments: Sequence[ExperimentFolder]) -> Sequence[ExperimentFolder]:
    """Without quick ones, unless there is nothing else."""
    return [e for e in experiments if not e.comparison.quick] or experiments


def _best(tables: Sequence[ExperimentFolder]) -> Finding | None:
    sentences, winners = [], []
    for table in _whole(tables):
        comparison = table.comparison
        key = comparison.columns[0]
        ranking = _ranking(comparison, key)
        if len(ranking) < 2:
            continue
        mean, best = ranking[0]
        winners.append(best.model)
        rivals = [(m, e) for m, e in ranking[1:] if is_gan(e.model) != is_gan(best.model)]
        kind = "baseline" if is_gan(best.model) else "GAN"
        beside = f"the best {kind}" if rivals else "the second"
        second, rival = rivals[0] if rivals else ranking[1]
        place = [e.model for _, e in ranking].index(rival.model) + 1
        sentences.append(
            f"On {_data(comparison)}, {best.model} reaches {heading(key)} {mean:.4f}; {beside}, "
            f"{rival.model}, {second:.4f} ({_percent(second, mean)}; place {place} of "
            f"{len(ranking)}){_told(comparison, key, rival)}."
        )
    if not winners:
        return None
    names = list(dict.fromkeys(winners))
    title = f"{_listed(names)} {'ranks' if len(names) == 1 else 'rank'} best"
    if len(winners) > 1:
        title += " on every data set" if len(names) == 1 else ", depending on the data set"
    return Finding(title, tuple(sentences), "comparison")


def _told(comparison: ResultTable, key: Key, rival: Entry) -> str:
    """What the paired test says of the distance from the best."""
    p = comparison.significance.get(key, {}).get(rival.model)
    if p is None:
        return ""
    if p >= _LEVEL:
        return f", a distance that chance would explain (paired t test, p = {p:.2f})"
    return f", a distance beyond chance (paired t test, p {_p_value(p)})"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _agreement(experiments: Sequence[ExperimentFolder]) -> Finding | None:
    judged = _judged(_whole(experiments))
    if not judged:
        return None
    outside = [(delta, name) for agrees, delta, name in judged if not agrees]
    within = len(judged) - len(outside)
    sentence = (
        f"{within} of {len(judged)} figures that can be compared lie within the tolerance, .001 or "
        "two standard deviations over the seeds."
    )
    cut = experiments[0].comparison.quick
    if all(experiment.comparison.quick for experiment in experiments):
        return Finding(
            "A quick run cannot be compared with the paper",
            (f"It was cut down ({cut}).", sentence),
            "published",
        )
    if not outside:
        return Finding("All published figures are reproduced", (sentence,), "published")
    above = sum(delta > 0 for delta, _ in outside)
    delta, name = max(outside, key=lambda found: abs(found[0]))
    rest = (
        f"Of the others, {above} {'is' if above == 1 else 'are'} higher than published and "
        f"{len(outside) - above} lower; the largest difference is {signed(delta)} ({name})."
    )
    title = f"{within} of {len(judged)} published figures are reproduced"
    return Finding(title, (sentence, rest), "published")


def _judged(experiments: Sequence[ExperimentFolder]) -> list[tuple[bool, float, str]]:
    """Whether each figure is within its tolerance, by how much it differs, and what it is."""
    found = []
    for experiment in experiments:
        comparison = experiment.comparison
        for entry in comparison.entries:
            for key in comparison.columns:
                verdict, delta = entry.verdict(*key), entry.delta(*key)
                if verdict is not None and delta is not None:
                    name = comparison.name_of(entry.model, entry.point)
                    place = f"{name} on {comparison.dataset}, {heading(key)}"
                    found.append((verdict.word == "within tolerance", delta, place))
    return found


def _collapse(experiments: Sequence[ExperimentFolder]) -> Finding | None:
    watched: dict[str, float] = {}
    for experiment in experiments:
        for model, cosine in collapses(experiment, controls=False).items():
            name = f"{model} on {experiment.comparison.dataset}"
            watched[name] = max(cosine, watched.get(name, cosine))
    alarms = sorted(
        ((cosine, name) for name, cosine in watched.items() if cosine >= COLLAPSE), reverse=True
    )
    if not alarms:
        return None
    names = [f"{name} ({cosine:.3f})" for cosine, name in alarms[:4]]
    if len(alarms) > 4:
        names.append(f"{len(alarms) - 4} more")
    sentence = (
        "At the end of training the profiles generated for different rows are nearly alike: mean "
        f"cosine {COLLAPSE:g} or more for {_listed(names)}."
    )
    return Finding(
        f"{len(alarms)} of {len(watched)} trained GANs collapsed", (sentence,), "training"
    )


def _below_popular(tables: Sequence[ExperimentFolder]) -> Finding | None:
    sentences = []
    for table in tables:
        key = table.comparison.columns[0]
        ranking = _ranking(table.comparison, key)
        floor = next((m for m, e in ranking if e.model == "TopPopular"), None)
        if floor is None:
            continue
        below = [e.model for m, e in ranking if m <= floor and is_gan(e.model)]
        if below:
            sentences.append(
                f"On {_data(table.comparison)}, {_listed(below)} "
                f"{'does' if len(below) == 1 else 'do'} not beat TopPopular ({heading(key)} "
                f"{floor:.4f}), which shows everyone the same list."
            )
    if not sentences:
        return None
    return Finding("Some GANs do not beat popularity", tuple(sentences), "comparison")


def _cost(tables: Sequence[ExperimentFolder]) -> Finding | None:
    sentences, ratios = [], []
    for table in tables:
        comparison = table.comparison
        key = comparison.columns[0]
        ranking = [(m, e, s) for m, e in _ranking(comparison, key) if (s := _seconds(e))]
        gan = next((found for found in ranking if is_gan(found[1].model)), None)
        other = next((found for found in ranking if not is_gan(found[1].model)), None)
        if gan is None or other is None:
            continue
        ratio = gan[2] / other[2]
        ratios.append(ratio)
        sentences.append(
            f"On {_data(comparison)}, {gan[1].model} takes {_time(gan[2])} to fit and "
            f"{other[1].model}, the best baseline, {_time(other[2])}; its {heading(key)} is "
            f"{_percent(gan[0], other[0])}."
        )
    if not ratios:
        return None
    low, high = min(ratios), max(ratios)
    if high < 1:
        title = "The best GAN is fitted faster than the best baseline"
    else:
        times = f"{low:,.0f}" if f"{low:,.0f}" == f"{high:,.0f}" else f"{low:,.0f} to {high:,.0f}"
        title = f"The best GAN takes {times} times as long as the best baseline"
    return Finding(title, tuple(sentences), "cost")


def _seconds(entry: Entry) -> float | None:
    found = [run.cost["fit_seconds"] for run in entry.runs if "fit_seconds" in run.cost]
    return sum(found) / len(found) if found else None


def _seeds(tables: Sequence[ExperimentFolder]) -> Finding | None:
    sentences = []
    for table in tables:
        key = table.comparison.columns[0]
        spreads = [
            (deviation, entry)
            for entry in table.comparison.entries
            if (deviation := entry.deviation(*key)) is not None
        ]
        if spreads:
            deviation, entry = max(spreads, key=lambda found: found[0])
            sentences.append(
                f"On {_data(table.comparison)}, {entry.model} varies most with its seed: "
                f"{heading(key)} {entry.mean(*key):.4f} ± {deviation:.4f} over {len(entry.runs)} "
                "seeds."
            )
    return (
        Finding("How much the seed matters", tuple(sentences), "comparison") if sentences else None
    )


def _searched(searches: Sequence[SearchRecord]) -> Finding | None:
    sentences = []
    for search in searches:
        best = search.best
        if best is None:
            continue
        done = search.done
        sentences.append(
            f"{search.label}: the best of {len(done)} trials is number {best.number} with "
            f"{search.metric} {best.value:.4f} on validation data; {improvements(search)} trials "
            "improved on all before them."
        )
    if not sentences:
        return None
    title = "What the search found" if len(sentences) == 1 else "What the searches found"
    shown = sentences[:4]
    if len(sentences) > len(shown):
        shown.append(f"{len(sentences) - len(shown)} more are below.")
    return Finding(title, tuple(shown), "searches")


def _percent(value: float, base: float) -> str:
    if not base:
        return "not comparable in percent"
    change = round(100 * (value / base - 1), 1)
    if change == 0:
        return "the same to 0.1\N{NO-BREAK SPACE}%"
    return f"{abs(change):.1f}\N{NO-BREAK SPACE}% {'higher' if change > 0 else 'lower'}"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2g}\N{NO-BREAK SPACE}s"
    if seconds < 120:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    if seconds < 7200:
        return f"{seconds / 60:.1f}\N{NO-BREAK SPACE}min"
    return f"{seconds / 3600:.1f}\N{NO-BREAK SPACE}h"


def _listed(names: Sequence[str]) -> str:
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
