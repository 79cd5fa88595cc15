"""What each option of GANMF beyond the paper does, with equal budgets, chosen on validation only.

    python studies/beyond.py --data FOLDER --dataset lastfm [--mode user] [--options A,B]

FOLDER holds one folder of the five published splits for each data set. Everything starts from the
published parameters. Each option has three settings: fitted on `train_small` with early stopping on
`early_stop`, the one with the highest MAP@5 on `validation` is chosen. `train_small` is a good half
of `train`, and more data want more epochs, so these are sought again on `train_small` and
`validation` together, stopped on `early_stop`; then follows `train`, once for each seed, measured
on `test`. "plain" spends the same three fits on the share of feature matching, "num_factors" on
more factors than the paper's search allowed or found; "joined" brings together the best of some of
them, "joined+factors" also with the best number of factors, "joined+average" with averaged weights.
A fit that was finished is kept in runs/beyond/, so that the command can be interrupted, and several
with other options can run beside each other; at the end the part of docs/results/beyond.md about
this data set is written anew.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.base.files import written_whole
from ganmf_fast.base.hardware import processor

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "beyond"
PAGE = ROOT / "docs" / "results" / "beyond.md"
OPTIONS = (
    "plain",
    "num_factors",
    "d_dropout",
    "g_ema",
    "init=svd",
    "init=ease",
    "g_reg_exponent=0.5",
    "joined",
    "joined+factors",
    "joined+average",
)
SEED = 1337
METRICS = [("map", 5), ("ndcg", 5), ("map", 20), ("ndcg", 20)]
TEXT = """# GANMF with options that the paper does not have

```sh
python studies/beyond.py --data path/to/data --dataset lastfm
python studies/beyond.py --data path/to/data --dataset hetrec2011 --device cuda --options \\
    plain,num_factors,d_dropout,g_ema,g_reg_exponent=0.5,joined,joined+factors,joined+average
python studies/beyond.py --data path/to/data --dataset ml-1m --device cuda \\
    --options plain,num_factors,d_dropout,g_ema,g_reg_exponent=0.5
```

Published parameters and one option each, three settings an option, chosen by MAP@5 on `validation`
(fitted on `train_small`, stopped early on `early_stop`: *first epochs*). The number of epochs is
then sought again on `train_small` and `validation` together, stopped on `early_stop`; so many are
trained on `train` (*epochs*) and measured on `test`. "as published" has the published parameters
and epochs, which were found on `train_small`; "plain" is GANMF as it is, with three shares of
feature matching; "joined" brings the best of the first, of `d_dropout` and of `g_reg` together,
"joined+factors" also the best of `num_factors`, "joined+average" the best of `g_ema`, `d_dropout`
and `g_reg`.
Mean and standard deviation over seeds. EASE and the published figure are for comparison.
"""


def settings(option: str, params: dict[str, Any], kept: "Kept") -> list[dict[str, Any]]:
    """What is tried of an option."""
    share, rate = params["recon_coefficient"], params["g_lr"]
    match option:
        case "plain":
            return [{"recon_coefficient": min(1.0, share * f)} for f in (1, 0.6, 1.6)]
        case "num_factors":
            return [{"num_factors": n} for n in (150, 250, 400)]
        case "d_dropout":
            return [{"d_dropout": d} for d in (0.3, 0.5, 0.7)]
        case "g_ema":
            return [{"g_ema": d} for d in (0.9, 0.99, 0.999)]
        case "init=svd" | "init=ease":
            init = option.removeprefix("init=")
            return [{"init": init, "g_lr": rate * f} for f in (1, 0.3, 0.1)]
        case "g_reg_exponent=0.5":
            return [{"g_reg_exponent": 0.5, "g_reg": r} for r in (1e-7, 1e-6, 1e-5)]
        case "joined":
            parts = ("plain", "d_dropout", "g_reg_exponent=0.5")
            share, dropout, decay = (kept.best(name)["setting"] for name in parts)
            return [dropout | decay, dropout | share, dropout | decay | share]
        case "joined+factors":
            parts = ("plain", "d_dropout", "g_reg_exponent=0.5", "num_factors")
            share, dropout, decay, factors = (kept.best(name)["setting"] for name in parts)
            wider = dropout | factors
            return [wider, wider | decay, wider | decay | share]
        case "joined+average":
            parts = ("g_ema", "d_dropout", "g_reg_exponent=0.5")
            average, dropout, decay = (kept.best(name)["setting"] for name in parts)
            return [average | decay, average | dropout, average | dropout | decay]
    raise SystemExit(f"options are {', '.join(OPTIONS)}, not {option!r}")


class Kept:
    """Finished fits of one data set, one file each."""

    def __init__(self, folder: Path, machine: str) -> None:
        self.folder = folder
        self.machine = machine
        folder.mkdir(parents=True, exist_ok=True)

    def once(
        self, name: str, setting: dict[str, Any], make: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """What `make` gives for the setting, which is kept; made again if another was kept."""
        found = self._read(name)
        if found is None or found["setting"] != setting or "machine" not in found:
            found = {"setting": setting, **make(setting), "machine": self.machine}
            with written_whole(self.folder / f"{name}.json") as part:
                part.write_text(json.dumps(found, indent=1), encoding="utf-8")
        return found

    def best(self, option: str) -> dict[str, Any]:
        """The setting of an option with the highest value on validation."""
        found = [self._read(f"{option}-{nth}") for nth in range(3)]
        return max((f for f in found if f), key=lambda f: f["value"])

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def tried(splits: gf.Splits, params: dict[str, Any], setting: dict[str, Any]) -> dict[str, Any]:
    """One fit with early stopping, judged on validation."""
    model = gf.GANMF(**(params | setting | {"epochs": 300}), seed=SEED)
    model.fit(splits.train_small, validation=splits.early_stop)
    found = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,))
    return {"value": found["map", 5], "epochs": model.best_epoch_}


def again(splits: gf.Splits, params: dict[str, Any], setting: dict[str, Any]) -> dict[str, Any]:
    """How many epochs the setting wants on as much of train as can be had."""
    most = (splits.train_small + splits.validation).tocsr()
    model = gf.GANMF(**(params | setting | {"epochs": 400}), seed=SEED)
    return {"epochs": model.fit(most, validation=splits.early_stop).best_epoch_}


def final(
    splits: gf.Splits, params: dict[str, Any], seed: int, setting: dict[str, Any]
) -> dict[str, Any]:
    """The setting on all of train, measured on test."""
    model = gf.GANMF(**(params | setting), seed=seed).fit(splits.train)
    result = gf.evaluate(model, splits.train, splits.test, cutoffs=(5, 20))
    return {f"{metric}@{k}": result[metric, k] for metric, k in METRICS}


def table(
    dataset: str, mode: str, rows: list[tuple[str, dict[str, Any], list[dict[str, Any]]]]
) -> str:
    """All options on one data set."""
    lines = [
        "| option | chosen | validation MAP@5 | first epochs | epochs | seeds | "
        + " | ".join(f"{m.upper()}@{k}" for m, k in METRICS)
        + " |",
        "| --- | --- |" + " ---: |" * (4 + len(METRICS)),
    ]
    for name, found, runs in rows:
        shown = ", ".join(
            f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}"
            for k, v in found["setting"].items()
        )
        cells = []
        for metric, k in METRICS:
            values = [run[f"{metric}@{k}"] for run in runs]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.4f}{spread}")
        value = f"{found['value']:.4f} | {found['epochs']}" if "value" in found else " | "
        lines.append(
            f"| {name} | {shown} | {value} | {found['final']} | {len(runs)} | "
            + " | ".join(cells)
            + " |"
        )
    for row in (f"GANMF-{mode[0]}", "EASE-R"):
        known = [reference.published_value(dataset, row, metric, k) for metric, k in METRICS]
        if any(known):
            shown = " | ".join("—" if c is None else f"{c:.4f}" for c in known)
            lines.append(f"| published {row} | | | | | | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Fit what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dataset", default="lastfm")
    parser.add_argument("--mode", default="user", choices=("user", "item"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--options", default=",".join(OPTIONS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    gf.set_num_threads(arguments.threads)
    splits = gf.Splits.load(arguments.data / arguments.dataset)
    params = reference.best_params(arguments.dataset, f"GANMF-{arguments.mode[0]}")
    params = {**(params or {}), "mode": arguments.mode}
    params["device"] = arguments.device
    on_gpu = arguments.device.startswith("cuda")
    machine = f"one {torch.cuda.get_device_name()}" if on_gpu else processor()
    kept = Kept(KEPT / f"{arguments.dataset}-{arguments.mode}", machine)
    rows = []
    for name in ("as published", *arguments.options.split(",")):
        chosen: dict[str, Any] = {"setting": {}}
        epochs = params["epochs"]
        if name != "as published":
            for nth, setting in enumerate(settings(name, params, kept)):
                found = kept.once(f"{name}-{nth}", setting, partial(tried, splits, params))
                print(f"{name}-{nth}: {found}", flush=True)
            chosen = kept.best(name)
            make = partial(again, splits, params)
            epochs = kept.once(f"{name}-again", chosen["setting"], make)["epochs"]
        setting = chosen["setting"] | {"epochs": epochs}
        runs = []
        for seed in range(SEED, SEED + arguments.seeds):
            make = partial(final, splits, params, seed)
            runs.append(kept.once(f"{name}-final-{seed}", setting, make))
            print(f"{name}-final-{seed}: {runs[-1]}", flush=True)
        rows.append((name, chosen | {"final": epochs}, runs))
    machines = sorted({run["machine"] for _, _, runs in rows for run in runs})
    about = f"{time.strftime('%Y-%m-%d')}, {', '.join(machines)}."
    shown = table(arguments.dataset, arguments.mode, rows)
    write(f"{arguments.dataset}, {arguments.mode} profiles", f"{about}\n\n{shown}")


def write(title: str, part: str) -> None:
    """Put the part of a data set in the place of an earlier one on the page, or behind all."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    parts = {p.partition("\n")[0]: p.strip() for p in re.split(r"(?m)^## ", page)[1:]}
    parts[title] = f"{title}\n\n{part}"
    whole = "\n\n## ".join([TEXT.strip(), *(parts[name] for name in sorted(parts))])
    with written_whole(PAGE) as place:
        place.write_text(whole + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
