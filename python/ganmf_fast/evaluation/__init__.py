"""How good lists are: on held-out items, and beyond accuracy."""

from ganmf_fast.evaluation.measure import evaluate, evaluate_lists
from ganmf_fast.evaluation.result import METRICS, Evaluation

__all__ = ["METRICS", "Evaluation", "evaluate", "evaluate_lists"]
