"""Splits into train and test interactions, each a pure function of the seed.

`holdout`, `leave_k_out`, `temporal`, `k_fold` and `cold_users` return a `Split`; `paper_protocol`
returns the five sets of the GANMF paper, `Splits`; `k_core` filters data before a split.
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
