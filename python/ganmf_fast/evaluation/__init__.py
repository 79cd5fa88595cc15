"""Evaluation of top-N lists: accuracy on held-out items, beyond accuracy, and significance."""

from ganmf_fast.evaluation.backtest import Backtest, backtest
from ganmf_fast.evaluation.evaluate import evaluate, evaluate_lists
from ganmf_fast.evaluation.group_gaps import GroupGaps, item_group_gaps, user_group_gaps
from ganmf_fast.evaluation.groups import by_item_popularity, by_profile_length
from ganmf_fast.evaluation.result import Evaluation
from ganmf_fast.evaluation.significance import Comparison, compare
from ganmf_fast.scorers.metrics import BEYOND_ACCURACY, METRICS

__all__ = [
    "BEYOND_ACCURACY",
    "METRICS",
    "Backtest",
    "Comparison",
    "Evaluation",
    "GroupGaps",
    "backtest",
    "by_item_popularity",
    "by_profile_length",
    "compare",
    "evaluate",
    "evaluate_lists",
    "item_group_gaps",
    "user_group_gaps",
]
