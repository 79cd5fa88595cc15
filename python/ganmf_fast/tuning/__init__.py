"""Search of hyper-parameters: resumable to the bit, in one process or many.

`tune` is the whole of it for most uses. The parts: `spaces` (what is searched, as data), `backends`
(who asks), `objective` (what a trial does), `executors` (where trials run), `journal` (what is kept
of them), `trackers` (who is told), `search` (the loop).
"""

from ganmf_fast.tuning.journal import Journal, read_journal
from ganmf_fast.tuning.search import Final, TuningResult, tune
from ganmf_fast.tuning.spaces import Choice, Int, Real, packaged_space
from ganmf_fast.tuning.trackers import Study, Tracker
from ganmf_fast.tuning.trial import Question, Trial

__all__ = [
    "Choice",
    "Final",
    "Int",
    "Journal",
    "Question",
    "Real",
    "Study",
    "Tracker",
    "Trial",
    "TuningResult",
    "packaged_space",
    "read_journal",
    "tune",
]
