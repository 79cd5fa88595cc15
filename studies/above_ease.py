"""GANMF beside EASE and SLIM, all tuned at the density of use, `test` opened once for each row.

    python studies/above_ease.py search --data FOLDER [--sets ml-1m,...] [--rows ...] [--trials 24]
    python studies/above_ease.py final --data FOLDER [--sets ...] [--rows ...] [--seeds 3]
    python studies/above_ease.py page

FOLDER holds one folder of the five published splits for each data set, of which `search` reads
train alone: `gf.tune(protocol="dense")` with four folds, the mean MAP@5 of a tenth of each user's
interactions. Its journals are docs/results/above-ease/SET-ROW.jsonl; a search that was stopped
goes on. A row that builds on another takes that one's best parameters, and needs its journal.

`final` fits the best of each row on all of train with several seeds and measures it on test. Every
such look is a line of docs/results/above-ease/looks.jsonl. A row that is there is fitted again only
where runs/above-ease has not its values of each user, from which `page` has the p values that
docs/results/above-ease/pairs.jsonl lacks; they must be those of the look. `page` writes
docs/results/above-ease.md, and puts what was found for the rows of table 2 into the package:
`ganmf reproduce table2 --params dense` takes it from there.
"""

import argparse
import datetime as dt
import json
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import ganmf_defaults as defaults
import ganmf_fast as gf
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.hardware import processor
from ganmf_fast.evaluation.significance import compare_values, holm
from ganmf_fast.gan.defaults import chosen_for
from low_rank_ease import LowRankEASE

KEPT = defaults.ROOT / "docs" / "results" / "above-ease"
LOOKS = KEPT / "looks.jsonl"
PAIRS = KEPT / "pairs.jsonl"
PAGE = KEPT.with_suffix(".md")
USERS = defaults.ROOT / "runs" / "above-ease"
PARAMS = defaults.ROOT / "python" / "ganmf_fast" / "reference" / "dense_params.json"
SETS = ("ml-1m", "hetrec2011", "lastfm")
MARKERS = "osD^v<>pPX*hd8H4"
METRICS = (("map", 5), ("ndcg", 5), ("map", 20), ("ndcg", 20))
FOLDS = 4

_AS_EASE = {
    "d_init": "ease",
    "init": "discriminator",
    "matching": "leave-one-out",
    "user_factors": "solved",
    "device": "cpu",
}
_TRAINED = {"batch_size": 256, "d_dropout": 0.33, "d_emphasis": 0.0, "g_ema": 0.9, "m": 10.0}
_RATES = {"d_lr": {"real": [1e-6, 1e-4], "log": True}, "g_lr": {"real": [1e-5, 1e-3], "log": True}}
_SIZES = {"num_factors": {"int": [80, 800], "log": True}}
_PENALTY = {"d_reg": {"real": [3e-6, 3e-4], "log": True}}
_NORMS = {"norm_exponent": {"real": [0.0, 1.2]}}
_WIDE = {
    "num_factors": {"int": [10, 2000], "log": True},
    "d_reg": {"real": [3e-7, 3e-3], "log": True},
}
# Of the hidden units there are as many as `GANMF()` takes; more change little.

# The adversarial game as the paper has it, from random weights, by two losses that it lacks.
_PLAYED = {
    "d_init": "glorot",
    "init": "glorot",
    "user_factors": "learned",
    "norm_exponent": 0.0,
    "emb_dim": 400,
    "batch_size": 512,
    "g_ema": 0.9,
    "epochs": 300,
    "freq": 10,
    "allow_worse": 3,
    "device": "cpu",
}
_GAME = {
    "num_factors": {"int": [50, 600], "log": True},
    "d_lr": {"real": [3e-5, 2e-3], "log": True},
    "g_lr": {"real": [3e-4, 1e-2], "log": True},
    "d_reg": {"real": [1e-6, 1e-3], "log": True},
    "recon_coefficient": {"real": [0.02, 0.95]},
    "d_dropout": {"real": [0.1, 0.6]},
    "d_emphasis": {"real": [0.0, 0.5]},
    "matching": {"choice": ["features", "reconstruction"]},
}
# Good by the paper's validation on Last.fm and on MovieLens 1M, in a search of another program.
_KNOWN = {
    "lastfm": {
        "num_factors": 150,
        "d_lr": 1e-4,
        "g_lr": 3.9e-3,
        "d_reg": 3e-6,
        "recon_coefficient": 0.16,
        "d_dropout": 0.3,
        "d_emphasis": 0.0,
        "matching": "features",
        "m": 6,
    },
    "ml-1m": {
        "num_factors": 400,
        "d_lr": 1.1e-3,
        "g_lr": 3.4e-4,
        "d_reg": 4.3e-5,
        "recon_coefficient": 0.81,
        "d_dropout": 0.3,
        "d_emphasis": 0.1,
        "matching": "reconstruction",
        "m": 3,
    },
}
_FIRST = {"lastfm": ("lastfm", "ml-1m"), "ml-1m": ("ml-1m",), "hetrec2011": ("ml-1m",)}


@dataclass(frozen=True)
class Row:
    """A model, and what is searched of it."""

    model: str | type[gf.Recommender]
    space: dict[str, Any] | None = field(default_factory=dict)
    """None for the ranges that the library has for the model."""
    fixed: dict[str, Any] = field(default_factory=dict)
    builds_on: str | None = None
    """Row whose best parameters are fixed, where `fixed` has no other value: all of them, epochs
    too, if there is nothing to search."""
    widened: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Ranges for a data set, at whose edge in `space` an earlier search ended."""
    by_rule: bool = False
    """Whether the hidden units are those of `GANMF()`, whose other choices are the first trial."""
    first: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For a data set, the names in `_KNOWN` of the points of the first trials."""


ROWS: dict[str, Row] = {
    "EASE": Row("EASE", {"l2": {"real": [10, 10000], "log": True}}),
    "EASE, divided profiles": Row("EASE", {"l2": {"real": [10, 10000], "log": True}, **_NORMS}),
    "SLIM-ElasticNet": Row(
        "SLIMElasticNet",
        {
            "alpha": {"real": [1e-2, 0.5], "log": True},
            "l1_ratio": {"real": [1e-3, 0.5], "log": True},
        },
        {"topk": 1000},
    ),
    **{
        name: Row(name, None)
        for name in ("WRMF", "PureSVD", "RP3beta", "P3alpha", "ItemKNN", "UserKNN")
    },
    "GANMF, the start": Row(
        "GANMF",
        {**_SIZES, **_PENALTY, "recon_coefficient": {"real": [0.05, 0.98]}, **_NORMS},
        {**_AS_EASE, "epochs": 0},
        widened={
            "ml-1m": {
                "num_factors": {"int": [10, 800], "log": True},
                "recon_coefficient": {"real": [0.05, 1.0]},
            }
        },
        by_rule=True,
    ),
    "the start, whole profiles": Row(
        "GANMF",
        {**_SIZES, **_PENALTY, "recon_coefficient": {"real": [0.05, 0.98]}},
        {**_AS_EASE, "epochs": 0, "norm_exponent": 0.0},
        by_rule=True,
    ),
    "the start, no energy": Row(
        "GANMF",
        {**_SIZES, **_PENALTY, **_NORMS},
        {**_AS_EASE, "epochs": 0, "recon_coefficient": 1.0},
        by_rule=True,
    ),
    "the start, profiles of items": Row(
        "GANMF",
        {**_SIZES, **_PENALTY, "recon_coefficient": {"real": [0.05, 1.0]}, **_NORMS},
        {**_AS_EASE, "epochs": 0, "mode": "item"},
        widened={"ml-1m": _WIDE, "hetrec2011": _WIDE},
        by_rule=True,
    ),
    "the discriminator alone": Row(
        LowRankEASE, {"emb_dim": {"int": [20, 1500], "log": True}, **_PENALTY, **_NORMS}
    ),
    "GANMF, trained": Row(
        "GANMF", _RATES, {**_TRAINED, "epochs": 6, "freq": 1}, builds_on="GANMF, the start"
    ),
    "trained, no adversary": Row(
        "GANMF", _RATES, {**_TRAINED, "epochs": 6, "freq": 1, "m": 0.0}, "GANMF, the start"
    ),
    "GANMF, random weights": Row("GANMF", {**_GAME, "m": {"int": [1, 10]}}, _PLAYED, first=_FIRST),
    "random weights, m = 0": Row("GANMF", {}, {"m": 0.0}, builds_on="GANMF, random weights"),
}


def journal(data: str, name: str) -> Path:
    """Of the search of a row."""
    return KEPT / f"{data}-{name.replace(',', '').replace(' ', '-').lower()}.jsonl"


def trials(data: str, name: str) -> list[dict[str, Any]]:
    """Those of a search that have a value."""
    path = journal(data, name)
    if not path.is_file():
        return []
    _, *lines = path.read_text(encoding="utf-8").splitlines()
    return [one for one in map(json.loads, lines) if one.get("status") == "done"]


def best(data: str, name: str, train: Any) -> dict[str, Any]:
    """Parameters of the best trial, those that are fixed, and epochs."""
    if ROWS[name].space == {}:
        return fixed(data, name, train)
    done = trials(data, name)
    if not done:
        raise SystemExit(f"{name} has no trial on {data}: search it first")
    found = max(done, key=lambda one: one["value"])
    return {**fixed(data, name, train), **found["params"], **_epochs(found)}


def _epochs(trial: dict[str, Any]) -> dict[str, int]:
    return {} if trial.get("epochs") is None else {"epochs": trial["epochs"]}


def fixed(data: str, name: str, train: Any) -> dict[str, Any]:
    """What a row does not search."""
    row = ROWS[name]
    base = {} if row.builds_on is None else best(data, row.builds_on, train)
    if row.by_rule:
        base["emb_dim"] = rule(train)["emb_dim"]
    return {**base, **row.fixed}


def rule(train: Any) -> dict[str, Any]:
    """What `GANMF()` took on these interactions when the searches began.

    A search goes on only from the same first points.
    """
    n_rows, n_cols = train.shape
    factors = round(0.33 * math.sqrt(train.nnz) * (n_cols / n_rows) ** 0.25)
    sizes = {"num_factors": min(max(factors, 64), 450, n_rows, n_cols), "recon_coefficient": 0.85}
    return chosen_for(n_rows, n_cols, train.nnz, None) | sizes


def search(folder: Path, sets: list[str], names: list[str], n_trials: int) -> None:
    """Run or continue the searches."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for data in sets:
        splits = gf.Splits.load(folder / data)
        for name in (name for name in names if ROWS[name].space != {}):
            row, by_rule = ROWS[name], rule(splits.train)
            first = [_KNOWN[one] for one in row.first.get(data, ())]
            if row.by_rule:
                first = [{key: by_rule[key] for key in row.space or ()}]
            started = time.process_time()
            result = gf.tune(
                row.model,
                splits,
                n_calls=n_trials,
                space=row.space and {**row.space, **row.widened.get(data, {})},
                fixed=fixed(data, name, splits.train),
                first=first,
                journal=journal(data, name),
                mask="known",
                protocol="dense",
                folds=FOLDS,
                moved=True,
            )
            spent = time.process_time() - started
            print(data, name, f"{result.best_value:.4f}", result.best_params, f"{spent:.0f} s")


def looks() -> list[dict[str, Any]]:
    """Every time that a test was opened."""
    return defaults.lines_of(LOOKS)


def of_users(data: str, name: str, seed: int) -> Path:
    """MAP@5 of each user, for the tests."""
    return USERS / f"{journal(data, name).stem}-{seed}.npy"


def final(folder: Path, sets: list[str], names: list[str], n_seeds: int) -> None:
    """Fit the best of each row on train, and look at test."""
    done = {(look["data"], look["row"], look["seed"]): look for look in looks()}
    for data in sets:
        splits = gf.Splits.load(folder / data)
        for name in names:
            row = ROWS[name].model
            cls = getattr(gf, row) if isinstance(row, str) else row
            random = cls in (gf.GANMF, LowRankEASE)
            for seed in range(n_seeds if random else 1):
                look = done.get((data, name, seed))
                if look is not None and of_users(data, name, seed).is_file():
                    continue
                params = best(data, name, splits.train) | ({"seed": seed} if random else {})
                started = time.process_time()
                model = cls(**params).fit(splits.train)
                seconds = time.process_time() - started
                found = gf.evaluate(
                    model, splits.train, splits.test, cutoffs=(5, 20), per_user=True
                )
                values = {f"{metric}@{k}": round(found[metric, k], 6) for metric, k in METRICS}
                if look is not None and not _same(values, look["values"]):
                    raise SystemExit(f"{data} {name} {seed} is {values}, not {look['values']}")
                USERS.mkdir(parents=True, exist_ok=True)
                np.save(of_users(data, name, seed), found.per_user("map", 5))
                print(data, name, seed, values, f"{seconds:.0f} s", flush=True)
                if look is not None:
                    continue
                look = {
                    "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                    "data": data,
                    "row": name,
                    "seed": seed,
                    "params": params,
                    "values": values,
                    "seconds": round(seconds, 1),
                }
                with LOOKS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(look) + "\n")


def _same(values: dict[str, float], others: dict[str, float]) -> bool:
    """Whether these are the values of one model, which another processor may have fitted."""
    return all(abs(value - others[name]) < 2e-4 for name, value in values.items())


TEXT = """# GANMF beside EASE and SLIM

MAP@5 on `test`, parameters and epochs chosen without it; the best of a data set in bold:

{summary}

```sh
python studies/above_ease.py search --data path/to/data
python studies/above_ease.py final --data path/to/data
python studies/above_ease.py page
```

![MAP@5 by validation and on test](above-ease.png)

Every row is searched by `gf.tune(protocol="dense")`
([tuning.md](../tuning.md#at-the-density-of-use)): *validation* is the mean MAP@5 over four folds,
of which each holds out a tenth of every user's interactions in `train`. The best parameters are
fitted on all of `train` and measured once on `test`, GANMF with several seeds; every look at a test
is a line of [above-ease/looks.jsonl](above-ease/looks.jsonl). Mean and standard deviation over
seeds; seconds of CPU time of one fit, that of random weights beside other work. Models that are
trained are fitted on 85 % for *validation*, since the protocol needs a part to stop early on, and
the others on 90 %. *p* is that of the paired t test over users of the MAP@5 (mean over seeds)
against EASE and against SLIM-ElasticNet, corrected by Holm within a data set.

"The start" is GANMF before the first epoch: the discriminator a truncated EASE, the generator the
closed form of its own objective for that discriminator ([algorithms.md](../algorithms.md)). No
adversarial step is in it. "Profiles of items" is the same in item mode, "no energy" with a = 1,
"whole profiles" without the division. "The discriminator alone" ranks by what the discriminator of
that start reconstructs, an EASE of limited rank (`emb_dim`), without a generator. "Trained" goes on
from the start and takes rates and epochs by validation; "no adversary" is that with m = 0. "Random
weights" is the game as the paper has it, without any of this, with denoising that is emphasised;
its search begins at a point from a search of another program by the paper's validation, which was
all that there was time for (a trial takes an hour and more here). "m = 0" is the same with this
one change, epochs included, and was not searched. Profiles are divided by powers of
their norms (`norm_exponent`) in "divided profiles", in "the discriminator alone", and in every row
of GANMF but those from random weights and "whole profiles". *trials* is what `--trials` was, or
fewer where a search was stopped. Two ended at the edge of their ranges: profiles of items on
Last.fm (`num_factors` 80, `d_reg` 3e-6) and WRMF on HetRec (`alpha` .001, `reg` 1e-5); no energy on
HetRec ended at the least `num_factors`, 80. Rows that are not here were not searched or not looked
at yet.
Looks "of an earlier search", some by two folds, and "of the first trials", before a search went on
or its ranges were widened, are in no row. Two searches that ended at the edge of their ranges were
begun again with wider ones: of the start on MovieLens 1M, and of profiles of items on HetRec, which
was not looked at before (above-ease/SET-ROW-first-ranges.jsonl).
`ganmf reproduce table2 --params dense` fits these rows again, with its own seeds and tests against
the best.

{tables}

{about}
"""


def measured(data: str) -> dict[str, list[dict[str, Any]]]:
    """The looks of each row at the test of a data set."""
    by_row: dict[str, list[dict[str, Any]]] = {}
    for look in looks():
        if look["data"] == data and look["row"] in ROWS:
            by_row.setdefault(look["row"], []).append(look)
    return by_row


def summary(sets: list[str]) -> str:
    """One metric of all rows on all data sets."""
    means = {
        (data, name): statistics.fmean(look["values"]["map@5"] for look in found)
        for data in sets
        for name, found in measured(data).items()
    }
    lines = [f"| model | {' | '.join(sets)} |", "| --- |" + " ---: |" * len(sets)]
    for name in (name for name in ROWS if any((data, name) in means for data in sets)):
        cells = [name]
        for data in sets:
            best = max(value for (of, _), value in means.items() if of == data)
            mean = means.get((data, name))
            cell = "" if mean is None else f"{mean:.4f}"
            cells.append(f"**{cell}**" if mean == best else cell)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table(data: str) -> str:
    """The rows of a data set that were measured."""
    by_row = measured(data)
    ps = _ps(data, by_row)
    head = ["model", "trials", "validation", *(f"{m.upper()}@{k}" for m, k in METRICS)]
    head += ["fit s", "p, EASE", "p, SLIM"]
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    for name in (name for name in ROWS if name in by_row):
        mine = by_row[name]
        found = [one["value"] for one in trials(data, name)]
        cells = [name, str(len(found) or ""), f"{max(found):.4f}" if found else ""]
        for metric, k in METRICS:
            values = [look["values"][f"{metric}@{k}"] for look in mine]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.4f}{spread}")
        cells.append(f"{statistics.fmean(look['seconds'] for look in mine):.0f}")
        cells += [ps.get((name, base), "") for base in _BASES]
        lines.append(f"| {' | '.join(cells)} |")
    shown = [
        f"- {name}: {_listed(by_row[name][0]['params'], trials(data, name)[0]['params'])}"
        for name in ROWS
        if name in by_row and trials(data, name)
    ]
    shown += [
        f"- The paired t test of {name} against {control} has p = {p:.2g}."
        for name, control in _CONTROLS
        if (p := _p_of_pair(data, by_row, name, control)) is not None
    ]
    return f"## {data}\n\n" + "\n".join(lines) + "\n\n" + "\n".join(shown)


_BASES = ("EASE", "SLIM-ElasticNet")
_CONTROLS = (("GANMF, random weights", "random weights, m = 0"),)


def _p_of_pair(
    data: str, by_row: dict[str, list[dict[str, Any]]], name: str, base: str
) -> float | None:
    """P value of two rows, uncorrected: from runs/, or as it was kept; None where there is none."""
    mine = {row: by_row.get(row, []) for row in (name, base)}
    # A p value belongs to these looks, not to those of another search.
    of = {row: [look["values"]["map@5"] for look in found] for row, found in mine.items()}
    pairs = defaults.lines_of(PAIRS)
    for pair in pairs:
        if pair["data"] == data and pair["map@5"] == of:
            return float(pair["p"])
    values = _user_means(data, {row: [look["seed"] for look in mine[row]] for row in mine})
    if len(values) < 2:
        return None
    p = float(compare_values(values, base)["t_p"][0])
    pairs.append({"data": data, "map@5": of, "p": p})
    write_whole(PAIRS, "".join(json.dumps(pair) + "\n" for pair in pairs))
    return p


def _listed(params: dict[str, Any], searched: dict[str, Any]) -> str:
    """What was found for a row, and its epochs."""
    keys = {*searched, "epochs", "emb_dim"}
    found = {key: value for key, value in params.items() if key in keys}
    return ", ".join(
        f"`{key}` {value:.3g}" if isinstance(value, float) else f"`{key}` {value}"
        for key, value in found.items()
    )


def _user_means(data: str, rows: dict[str, list[int]]) -> dict[str, Any]:
    """MAP@5 of each user, mean over seeds, of the rows that `final` measured here."""
    files = {name: [of_users(data, name, seed) for seed in seeds] for name, seeds in rows.items()}
    return {
        name: np.mean([np.load(file) for file in mine], axis=0)
        for name, mine in files.items()
        if mine and all(file.is_file() for file in mine)
    }


def _ps(data: str, by_row: dict[str, list[dict[str, Any]]]) -> dict[tuple[str, str], str]:
    """P values of the rows against each base, corrected within the data set."""
    found = {
        (name, base): p
        for base in _BASES
        for name in by_row
        if name != base and (p := _p_of_pair(data, by_row, name, base)) is not None
    }
    corrected = holm(np.array(list(found.values())))
    return {key: f"{p:.2g}" for key, p in zip(found, corrected, strict=True)}


def page() -> None:
    """Write the page and its picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    sets = [data for data in SETS if any(look["data"] == data for look in looks())]
    figure, panels = plt.subplots(1, len(sets), figsize=(4.2 * len(sets), 3.8), squeeze=False)
    for data, panel in zip(sets, panels[0], strict=True):
        for number, name in enumerate(ROWS):
            tests = [
                look["values"]["map@5"]
                for look in looks()
                if (look["data"], look["row"]) == (data, name)
            ]
            if tests and trials(data, name):
                found = max(one["value"] for one in trials(data, name))
                colour = f"C{number % 10}"
                mark = {"marker": MARKERS[number % len(MARKERS)], "color": colour, "label": name}
                panel.plot([found], [statistics.fmean(tests)], linestyle="", **mark)
        panel.set(title=data, xlabel="MAP@5 on validation", ylabel="MAP@5 on test")
        panel.grid(alpha=0.3)
        panel.locator_params(nbins=4)
    found = [panel.get_legend_handles_labels() for panel in panels[0]]
    by_label = {
        label: mark for marks, labels in found for mark, label in zip(marks, labels, strict=True)
    }
    figure.legend(by_label.values(), by_label, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.06 + 0.045 * math.ceil(len(by_label) / 4), 1, 1))
    figure.savefig(PAGE.with_suffix(".png"), dpi=110)
    write_params(sets)
    about = (
        f"Written on {time.strftime('%Y-%m-%d')}, {processor()}; rows were fitted there and on "
        "other machines of two cores."
    )
    tables = "\n\n".join(table(data) for data in sets)
    write_whole(PAGE, TEXT.format(summary=summary(sets), tables=tables, about=about))


def write_params(sets: list[str]) -> None:
    """What was found, by the names of table 2: of GANMF's in each mode the best by validation."""
    found: dict[str, dict[str, Any]] = {}
    for data in sets:
        by_row = measured(data)
        names, left_out = {"EASE": "EASE-R"}, {"EASE, divided profiles", "the discriminator alone"}
        for mode in ("user", "item"):
            games = [
                name
                for name in by_row
                if ROWS[name].model == "GANMF" and ROWS[name].fixed.get("mode", "user") == mode
            ]
            searched = [name for name in games if trials(data, name) and "no energy" not in name]
            left_out |= set(games)
            if searched:
                game = max(searched, key=lambda one: max(t["value"] for t in trials(data, one)))
                left_out.remove(game)
                names[game] = f"GANMF-{mode[0]}"
        for name in (name for name in ROWS if name in by_row and name not in left_out):
            params = {
                key: value
                for key, value in by_row[name][0]["params"].items()
                if key not in ("seed", "device")
            }
            row = f"ItemKNN-{params['similarity']}" if name == "ItemKNN" else names.get(name, name)
            found.setdefault(data, {})[row] = params
    source = (
        'chosen with this library by tune(protocol="dense") on train alone '
        "(studies/above_ease.py, docs/results/above-ease.md)"
    )
    document = {"source": source, "datasets": found}
    write_whole(PARAMS, json.dumps(document, indent=1) + "\n")


def main() -> None:
    """Run as described above."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("do", choices=("search", "final", "page"))
    parser.add_argument("--data", type=Path, help="folder")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--rows", default=";".join(ROWS), help="separated by semicolons")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.do != "page" and arguments.data is None:
        parser.error("--data is missing")
    sets, names = arguments.sets.split(","), arguments.rows.split(";")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"--rows has no {unknown[0]!r}; rows are {'; '.join(ROWS)}")
    if arguments.do == "search":
        search(arguments.data, sets, names, arguments.trials)
    elif arguments.do == "final":
        final(arguments.data, sets, names, arguments.seeds)
    else:
        page()


if __name__ == "__main__":
    main()
