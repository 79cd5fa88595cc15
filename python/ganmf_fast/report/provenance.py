"""Provenance of the experiments of a report: data, run, machine, versions; and their number."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganmf_fast.report.run_folder import ExperimentFolder, RunFolder

Facts = list[tuple[str, list[tuple[str, str]]]]


def literal(value: object) -> str:
    """A value as it stands in a configuration, cut off where it is absurdly long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 200 else text[:200] + "\N{HORIZONTAL ELLIPSIS}"


def title(folder: RunFolder) -> str:
    """What the report is about: an experiment, several of them, or searches."""
    tables = [experiment.comparison for experiment in folder.experiments]
    labels = ", ".join(dict.fromkeys(table.label for table in tables))
    if not tables:
        models = dict.fromkeys(search.label for search in folder.searches)
        return f"Searches: {', '.join(models)}" if models else folder.name
    names = dict.fromkeys(table.title for table in tables)
    return f"{next(iter(names)) if len(names) == 1 else 'Experiments'} on {labels}"


def size(folder: RunFolder) -> str:
    """How much there is, in a line."""
    experiments, searches = folder.experiments, folder.searches
    labels = dict.fromkeys(e.comparison.label for e in experiments)
    labels |= dict.fromkeys(search.dataset for search in searches)
    models = {entry.model for e in experiments for entry in e.comparison.entries if e.records}
    records = [record for e in experiments for record in e.records if record.done]
    seeds = {record.seed for record in records if record.seed is not None}
    counts = {
        "experiment": len(experiments) if len(experiments) > 1 else 0,
        "model": len(models),
        "finished run": len(records),
        "seed": len(seeds),
        "search": len(searches),
    }
    ends = {"search": "es"}
    words = [f"{n} {w}{ends.get(w, 's') if n > 1 else ''}" for w, n in counts.items() if n]
    return ", ".join((*labels, *words))


def provenance(experiments: Sequence[ExperimentFolder]) -> list[tuple[ExperimentFolder, Facts]]:
    """Facts of each experiment; groups that are those of the first are not repeated."""
    first: Facts = []
    found = []
    for experiment in experiments:
        facts = _facts(experiment)
        found.append((experiment, [group for group in facts if group not in first]))
        first = first or facts
    return found


def _facts(experiment: ExperimentFolder) -> Facts:
    """Provenance of an experiment: groups of names and values, as far as they are known."""
    config = experiment.config
    data, about = _table(config, "dataset"), _table(config, "environment")
    hardware, git = _table(about, "hardware"), _table(about, "git")
    seeds = sorted({record.seed for record in experiment.records if record.seed is not None})
    source = "not known (no git checkout)"
    if git:
        changed = ", with uncommitted changes" if git.get("changed") is True else ", unchanged"
        source = f"{literal(git.get('commit'))}{changed}"
    groups = {
        "Data": {
            "Data set": data.get("name"),
            "Split": data.get("splits"),
            "Hash of the five splits (SHA-256)": data.get("hash"),
            "Users": data.get("users"),
            "Items": data.get("items"),
            "Interactions": data.get("interactions"),
        },
        "Run": {
            "Quick": config.get("quick"),
            "Cutoffs": config.get("cutoffs"),
            "Seeds": seeds or None,
            "Device asked for": config.get("device"),
            "Source code": source,
        },
        "Machine": {
            "Processor": hardware.get("processor"),
            "CPUs": hardware.get("cpus"),
            "Threads": hardware.get("threads"),
            "Memory, MiB": hardware.get("memory_mib"),
            "GPU": hardware.get("gpu") or "none used",
            "Platform": hardware.get("platform"),
        },
        "Versions": {
            name: "not installed" if version is None else version
            for name, version in _table(about, "versions").items()
        },
    }
    if not config:
        groups = {"Run": {"Seeds": seeds or None}}
    return [
        (name, [(label, _plain(value)) for label, value in group.items() if value is not None])
        for name, group in groups.items()
    ]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(literal, value[:50]))
    return literal(value)


def _table(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
