"""Splits into training and held-out interactions, each a pure function of the seed.

`holdout`, `leave_k_out`, `temporal`, `k_fold` and `cold_users` answer with a `Split`; `k_core`
thins data out before; `paper_protocol` makes the five sets of the GANMF paper, `Splits`.
"""

from ganmf_fast.split.methods import (
    cold_users,
    holdout,
    k_core,
    k_fold,
    leave_k_out,
    temporal,
)
from ganmf_fast.split.paper import PARTS, Splits, paper_protocol
from ganmf_fast.split.result import ColdSplit, Folds, Split

__all__ = [
    "PARTS",
    "ColdSplit",
    "Folds",
    "Split",
    "Splits",
    "cold_users",
    "holdout",
    "k_core",
    "k_fold",
    "leave_k_out",
    "paper_protocol",
    "temporal",
]
