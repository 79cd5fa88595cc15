"""Every model on one thread and on two: the same bits.

Run as a program, it fits all of them on so many threads and says what they are:

    python studies/faults/threads.py N
"""

import json
import subprocess
import sys
from typing import Any

import numpy as np

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.files import checksum
from ganmf_fast.base.urm import to_scipy

__all__ = ["compare"]

EPOCHS = {"epochs": 3}
GANS = {"device": "cpu", "epochs": 3}
MODELS: dict[str, list[dict[str, Any]]] = {
    "TopPopular": [{}],
    "Random": [{}],
    "PureSVD": [{}],
    "ItemKNN": [{}, {"similarity": "tversky"}, {"similarity": "euclidean"}],
    "UserKNN": [{}, {"similarity": "asymmetric"}],
    "P3alpha": [{}],
    "RP3beta": [{}],
    "SLIMBPR": [EPOCHS, {**EPOCHS, "symmetric": False}],
    "SLIMElasticNet": [{}],
    "EASE": [{}],
    "WRMF": [EPOCHS, {**EPOCHS, "num_factors": 65}],
    "GANMF": [
        {**GANS, "step": "exact"},
        {**GANS, "step": "dense"},
        {**GANS, "step": "dense", "batch_size": 1024, "mode": "item"},
    ],
    "BinGANMF": [GANS],
    "CFGAN": [GANS],
    "CAAE": [GANS],
}


def compare() -> list[dict[str, Any]]:
    """Each model with whether it has the same bits on one thread and on two."""
    one, two = (_fitted(threads) for threads in (1, 2))
    return [{"model": name, "same": one[name] == two[name]} for name in one]


def _fitted(threads: int) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, __file__, str(threads)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def main() -> None:
    """Fit all models."""
    import torch  # noqa: F401 (the number of its threads is set with that of the others)

    gf.set_num_threads(int(sys.argv[1]))
    splits = gf.split.paper_protocol(to_scipy(_core.demo_urm(1, 900, 1200)), seed=1)
    found = {}
    for name, settings in MODELS.items():
        for params in settings:
            model = getattr(gf, name)(**params)
            model.fit(splits.train_small, validation=splits.early_stop)
            lists = model.recommend(np.arange(300), n=20)
            tensors = {**model.scorer_.tensors(), "items": lists.items, "scores": lists.scores}
            shown = ", ".join(
                f"{k}={v}" for k, v in params.items() if k not in ("device", "epochs")
            )
            found[f"{name}({shown})"] = checksum("", tensors)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
