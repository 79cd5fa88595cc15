"""A synthetic log of any size, as parquet files in a folder; memory holds one file's rows.

    python benches/large/generate.py 100M logs/100m        # 1 M users, 200 k items
    python benches/large/generate.py 500M logs/500m --seed 7

Events are independent draws of a power-law user and a power-law item. Whatever the size, there are
100 events a user and 500 an item, the most active users have about 4,000 events, and a tenth of the
users or a little more know the most popular item. Some events repeat a user and an item: about one
in twenty. Ids are scattered over 64-bit integers, rows stand in order of time. The same size and
seed give the same log.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

EVENTS_PER_FILE = 5_000_000
EVENTS_PER_USER = 100
EVENTS_PER_ITEM = 500
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


def size_of(text: str) -> int:
    """A number such as 20M or 1500000."""
    unit = _UNITS.get(text[-1:].upper())
    return round(float(text[:-1]) * unit) if unit else int(text)


def write_log(n_events: int, folder: Path, seed: int = 0) -> None:
    """Write the log; a folder that holds one of this size and seed is left as it is."""
    mark = folder / f"events-{n_events}-seed-{seed}.done"
    if mark.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.parquet"), *folder.glob("*.done")]:
        old.unlink()
    n_users = max(1, n_events // EVENTS_PER_USER)
    n_items = max(1, n_events // EVENTS_PER_ITEM)
    for part, start in enumerate(range(0, n_events, EVENTS_PER_FILE)):
        n = min(EVENTS_PER_FILE, n_events - start)
        rng = np.random.default_rng([seed, part])
        table = pl.DataFrame(
            {
                "user_id": _scattered(_ranks(rng, n_users, n, n_users / 1000, 0.7), seed),
                "item_id": _scattered(_ranks(rng, n_items, n, 200.0, 1.1), seed + 1),
                "time": np.arange(start, start + n),
            }
        )
        table.write_parquet(folder / f"part-{part:04}.parquet", compression="lz4")
        print(f"\r{start + n:,} of {n_events:,} events", end="", flush=True)
    print()
    mark.touch()


def _ranks(
    rng: np.random.Generator, n: int, draws: int, shift: float, exponent: float
) -> NDArray[np.int64]:
    """Ranks below `n` with weight (rank + shift)^-exponent, by inverting the integral."""
    power = 1.0 - exponent
    low, high = shift**power, (n + shift) ** power
    at = (low + rng.random(draws) * (high - low)) ** (1.0 / power) - shift
    ranks: NDArray[np.int64] = np.clip(at.astype(np.int64), 0, n - 1)
    return ranks


def _scattered(ranks: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Distinct ids in no order: an odd factor and shifts are one-to-one modulo 2^62."""
    ids = (ranks + np.int64(seed) * 1_000_003).astype(np.uint64)
    mask = np.uint64(2**62 - 1)
    for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9):
        ids = (ids * np.uint64(factor)) & mask
        ids ^= ids >> np.uint64(31)
    return ids.astype(np.int64)


def main() -> None:
    """Read the command line and write the log."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("events", type=size_of, help="for instance 20M, 100M or 500M")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_log(arguments.events, arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
