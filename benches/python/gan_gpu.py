"""Full trainings of GANMF on a GPU with the published parameters, and its steps beside their floor.

    python benches/python/gan_gpu.py --data FOLDER [--datasets lastfm,...] [--models GANMF-u,...]
                                     [--profile]

FOLDER holds one folder of the five published splits for each data set. A fit on `train` with all
published epochs is timed from call to return, the first of a process with what torch, Triton and
the libraries load; then the same again with products in TF32, and with the steps of the straight
dense port (`straight_gans.py`) for a few epochs. The floor of a step is the larger of two times:
bytes, where each parameter and both its moments are read once and written once, over the bandwidth
of a large copy; operations of the products that were chosen, over the rate of a large product in
single precision. Both ceilings are measured in the same run. Writes docs/results/gan-gpu.json.

With `--profile` nothing is written: for six epochs of each row the kernels are printed that took
the longest, with their time, how often they ran, and the time of one.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.experiments import environment
from ganmf_fast.gan.ganmf.exact import d_costs, g_costs
from ganmf_fast.gan.ganmf.module import GANMFModule
from straight_gans import StraightGANMF

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "gan-gpu.json"
# Moments and parameters, read and written, four bytes each.
BYTES = 24


def seconds(work: Callable[[], Any], times: int) -> float:
    """Median time of a piece of work on the GPU."""
    found = []
    for _ in range(times):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1000)
    return statistics.median(found)


def ceilings() -> dict[str, float]:
    """Bytes a second of a copy; multiplications and additions a second of a product."""
    pair = torch.empty(2, 2**29, device="cuda")
    found = {"bytes_per_s": pair.nbytes / seconds(lambda: pair[1].copy_(pair[0]), 20)}
    left, right = torch.randn(2, 8192, 8192, device="cuda")
    for name, tf32 in (("fp32", False), ("tf32", True)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        seconds(lambda: left @ right, 3)
        found[f"{name}_ops_per_s"] = 2 * 8192**3 / seconds(lambda: left @ right, 10)
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


def floors(profiles: Any, params: dict[str, Any], found: dict[str, float]) -> dict[str, Any]:
    """Least time of a step of either network, in seconds."""
    users, items = profiles.n_rows, profiles.n_cols
    emb, factors = params["emb_dim"], params["num_factors"]
    batch = min(params["batch_size"], users)
    costs = {
        "d": (d_costs(batch, items, emb, factors), items * (2 * emb + 1) + emb),
        "g": (
            g_costs(batch, items, emb, factors, -(-users // batch)),
            (users + items) * factors,
        ),
    }
    return {
        name: {
            "products": "narrow" if narrow <= wide else "wide",
            "bytes_s": BYTES * numbers / found["bytes_per_s"],
            "operations_s": 2 * min(narrow, wide) / found["fp32_ops_per_s"],
        }
        for name, ((narrow, wide), numbers) in costs.items()
    }


def fitted(mode: str, params: dict[str, Any], splits: Any, **options: Any) -> dict[str, Any]:
    """One full training."""
    model = gf.GANMF(mode=mode, **params, seed=1337, device="cuda", **options)
    torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    model.fit(splits.train)
    took = time.perf_counter() - started
    result = gf.evaluate(model, splits.train, splits.test, cutoffs=(5,))
    rows = model.history_[2:]
    return {
        "fit_s": took,
        "epochs": len(model.history_),
        "d_pass_s": statistics.median(row["d_seconds"] for row in rows),
        "g_pass_s": statistics.median(row["g_seconds"] for row in rows),
        "epoch_s": statistics.median(row["seconds"] for row in rows),
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
        "map@5": result["map", 5],
    }


def straight(profiles: Any, mode: str, params: dict[str, Any], epochs: int = 3) -> float:
    """Median seconds of an epoch of the dense port."""
    model = gf.GANMF(mode=mode, **params, seed=1337, device="cuda", step="dense")
    module = GANMFModule(model, profiles)
    networks = [module.generator, module.discriminator]
    port = StraightGANMF(
        to_scipy(profiles), params, *(network.state_dict() for network in networks)
    )
    batches = [batch.numbers for batch in next(iter(module.epoch(1)))[1]]
    found = []
    for _ in range(epochs):
        torch.cuda.synchronize()
        started = time.perf_counter()
        port.epoch(batches)
        torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def profiled(mode: str, params: dict[str, Any], splits: Any, most: int = 22) -> None:
    """Print the kernels of a short training."""
    model = gf.GANMF(mode=mode, **{**params, "epochs": 6}, seed=1337, device="cuda")
    model.fit(splits.train)  # libraries load what they need
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        model.fit(splits.train)
    longest = sorted(found.key_averages(), key=lambda event: -event.self_device_time_total)
    for event in longest[:most]:
        took, times = event.self_device_time_total, event.count
        print(f"{took / 1e3:9.2f} ms {times:6d} x {took / times:8.1f} us  {event.key[:110]}")


def main() -> None:
    """Measure what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--models", default="GANMF-u,GANMF-i")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    rows = []
    torch.zeros(1, device="cuda")
    for dataset in arguments.datasets.split(","):
        splits = gf.Splits.load(arguments.data / dataset)
        for name in arguments.models.split(","):
            mode = "item" if name.endswith("-i") else "user"
            params = reference.best_params(dataset, name) or {}
            if arguments.profile:
                print(f"{dataset} {name}", flush=True)
                profiled(mode, params, splits)
                continue
            profiles = as_csr(splits.train if mode == "user" else splits.train.T.tocsr())
            row = {
                "dataset": dataset,
                "row": name,
                "batches": -(-profiles.n_rows // params["batch_size"]),
                "published": reference.published_value(dataset, name, "map", 5),
                "first": fitted(mode, params, splits),
                "again": fitted(mode, params, splits),
                "tf32": fitted(mode, params, splits, tf32=True),
            }
            row["profiles"] = [profiles.n_rows, profiles.n_cols]
            row["parameters"] = params
            rows.append(row)
            print(json.dumps(row), flush=True)
            row["straight_epoch_s"] = straight(profiles, mode, params)
    if arguments.profile:
        return
    found = ceilings()
    for row in rows:
        profiles = argparse.Namespace(n_rows=row["profiles"][0], n_cols=row["profiles"][1])
        row["floor"] = floors(profiles, row["parameters"], found)
        for name in "dg":
            floor = max(row["floor"][name]["bytes_s"], row["floor"][name]["operations_s"])
            step = row["again"][f"{name}_pass_s"] / row["batches"]
            print(
                f"{row['dataset']} {row['row']} {name}: step {1e6 * step:.0f} us, "
                f"floor {1e6 * floor:.0f} us, {step / floor:.1f}x",
                flush=True,
            )
        print(
            f"{row['dataset']} {row['row']}: fit {row['first']['fit_s']:.2f} s, again "
            f"{row['again']['fit_s']:.2f} s, TF32 {row['tf32']['fit_s']:.2f} s; MAP@5 "
            f"{row['again']['map@5']:.4f}, TF32 {row['tf32']['map@5']:.4f}, published "
            f"{row['published']:.4f}; epoch {1e3 * row['again']['epoch_s']:.1f} ms, straight "
            f"{1e3 * row['straight_epoch_s']:.1f} ms",
            flush=True,
        )
    about = {"ceilings": found, "environment": environment.describe(), "rows": rows}
    about["date"] = time.strftime("%Y-%m-%d")
    RESULTS.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
