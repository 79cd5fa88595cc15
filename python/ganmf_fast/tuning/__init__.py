"""Search of hyper-parameters: resumable to the bit, in one process or many.

`tune` is the whole of it for most uses. The parts: `spaces` (what is searched, as data), `backends`
(who asks), `objective` (what a trial does), `journal` (what is kept of it), `trackers` (who is
told), `search` (the loop). Where trials run is the affair of `ganmf_fast.base.executors`.
"""

from ganmf_fast.tuning.journal import Journal, read_journal
from ganmf_fast.tuning.search import Final, TuningResult, tune
from ganmf_fast.tuning.spaces import Choice, Int, Real, packaged_space
from ganmf_fast.tuning.trackers.base import Study, Tracker
from ganmf_fast.tuning.trackers.mlflow import MLflow
from ganmf_fast.tuning.trackers.tensorboard import TensorBoard
from ganmf_fast.tuning.trial import Question, Trial

__all__ = [
    "Choice",
    "Final",
    "Int",
    "Journal",
    "MLflow",
    "Question",
    "Real",
    "Study",
    "TensorBoard",
    "Tracker",
    "Trial",
    "TuningResult",
    "packaged_space",
    "read_journal",
    "tune",
]
