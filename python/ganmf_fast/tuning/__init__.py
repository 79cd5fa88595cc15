"""Search of hyperparameters, resumable to the bit, in one process or many.

`tune` is the entry point. Modules: `spaces` (search spaces as data), `backends` (search
strategies), `protocols` (what is fitted and measured), `objective` (one trial), `search` (the
loop), `suggestions` (points, also of a resumed search), `journal` (finished trials on disk),
`trackers` (observers), `result`. Trials run in `ganmf_fast.base.executors`.
"""

from ganmf_fast.tuning.journal import Journal, read_journal
from ganmf_fast.tuning.result import Final, TuningResult
from ganmf_fast.tuning.spaces import Choice, Int, Real, packaged_space
from ganmf_fast.tuning.trackers.base import Study, Tracker
from ganmf_fast.tuning.trackers.fits import fit_tracked
from ganmf_fast.tuning.trackers.mlflow import MLflow
from ganmf_fast.tuning.trackers.tensorboard import TensorBoard
from ganmf_fast.tuning.trackers.wandb import Trackio, WandB
from ganmf_fast.tuning.trial import Trial, TrialSpec
from ganmf_fast.tuning.tune import tune

__all__ = [
    "Choice",
    "Final",
    "Int",
    "Journal",
    "MLflow",
    "Real",
    "Study",
    "TensorBoard",
    "Tracker",
    "Trackio",
    "Trial",
    "TrialSpec",
    "TuningResult",
    "WandB",
    "fit_tracked",
    "packaged_space",
    "read_journal",
    "tune",
]
