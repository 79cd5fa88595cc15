"""What GANMF takes for the parameters that are not given; no torch here.

`recon_coefficient` means something only together with the losses that it weighs. Whoever gives it
knows them, and what else is not given is then what the published model has (`PUBLISHED`). Otherwise
parameters are chosen for the data: a discriminator that starts as EASE, denoising, leave-one-out
matching, user factors in closed form, and profiles divided by the root of their norms, with sizes,
rates and penalties that were sought on parts held out of training data, never on a test
(docs/results/ganmf-defaults.md).

The penalty of the discriminator follows the data by a law. Its losses are means over the U I cells
of a batch's matrix, so that a direction of the singular value s of the interactions lowers them by
an order of s^2 / (U I), and half the sum of squares of its weights takes it away where `d_reg` is
larger. The singular values of a random matrix of the same n interactions end at
s^2 = n / (U I) (sqrt U + sqrt I)^2 (V. Marchenko and L. Pastur, Matematicheskii Sbornik 72, 1967):
`d_reg` is that edge over U I, times `NOISE`, so that what cannot be told from noise is not learned.
Deviation: empty rows and columns are counted as well.
"""

import math
from collections.abc import Mapping
from typing import Any

MOST_EPOCHS = 300

PUBLISHED: dict[str, Any] = {
    "num_factors": 100,
    "emb_dim": 400,
    "batch_size": 512,
    "m": 10.0,
    "d_lr": 1e-4,
    "g_lr": 2e-3,
    "d_reg": 1e-5,
    "d_dropout": 0.0,
    "g_ema": 0.0,
    "epochs": MOST_EPOCHS,
    "d_emphasis": 1.0,
    "matching": "features",
    "d_init": "glorot",
    "init": "glorot",
    "user_factors": "learned",
    "norm_exponent": 0.0,
}
"""Of the published model; GANMF's own `recon_coefficient` has no default in it."""

CHOSEN = (*PUBLISHED, "recon_coefficient")
"""Parameters whose default is None."""

NOISE = 4.0
"""Of the penalty, see above."""

_BATCHES = 8
_MOST_WORK = 4e11


def chosen_for(n_rows: int, n_cols: int, nnz: int, matching: str | None) -> dict[str, Any]:
    """Parameters for profiles of shape (n_rows, n_cols) with `nnz` interactions.

    `matching` is the given one, or None.
    """
    edge = nnz * (math.sqrt(n_rows) + math.sqrt(n_cols)) ** 2 / (n_rows * n_cols)
    size, wide = math.sqrt(nnz), (n_cols / n_rows) ** 0.25
    # More interactions have more batches, and want less change from the start.
    rate = min(max(3e-5, 20 / nnz), 3e-4)
    return {
        "num_factors": min(_within(24, 0.14 * size * wide, 256), n_rows, n_cols),
        "emb_dim": min(_within(180, 1.1 * size, 1000), n_cols),
        "batch_size": _within(64, 2.0 ** round(math.log2(n_rows / _BATCHES)), 512),
        "m": 10.0,
        "d_lr": rate,
        "g_lr": 4 * rate,
        "d_reg": NOISE * edge / (n_rows * n_cols),
        "d_dropout": 0.33,
        "g_ema": 0.98,
        "d_emphasis": 0.0,
        "matching": matching or "leave-one-out",
        "d_init": "ease",
        "init": "discriminator",
        "user_factors": "solved",
        "norm_exponent": 0.5,
        # The published weight is one of features.
        "recon_coefficient": 0.1 if matching == "features" else 0.8,
    }


def most_epochs_from_ease(n_rows: int, n_cols: int, nnz: int, params: Mapping[str, Any]) -> int:
    """Most epochs of a training that starts as EASE and whose epochs are sought.

    An epoch has about nnz E multiplications of the profiles, and in each batch I E K of both
    networks, of I columns, E hidden units and K factors. All epochs together have `_MOST_WORK` of
    them at most, some two minutes on two cores, though at least ten are allowed: such a training
    gains little, and its first epochs the most.
    """
    batches = math.ceil(n_rows / params["batch_size"])
    an_epoch = params["emb_dim"] * (nnz + batches * n_cols * params["num_factors"])
    return _within(10, _MOST_WORK / max(an_epoch, 1), MOST_EPOCHS)


def _within(low: int, value: float, high: int) -> int:
    return round(min(max(value, low), high))
