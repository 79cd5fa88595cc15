"""Splits into train and test interactions, each a pure function of the seed.

`holdout`, `leave_k_out`, `temporal` and `cold_users` return a `Split`, `k_fold` and `rolling` a
sequence of them; `paper_protocol` returns the five sets of the GANMF paper, `Splits`, and
`Splits.from_split` those of any other split; `k_core` filters data before a split.
"""

from ganmf_fast.split.methods import (
    cold_users,
    holdout,
    k_core,
    k_fold,
    leave_k_out,
    published,
    rolling,
    temporal,
)
from ganmf_fast.split.paper import PARTS, Splits, paper_protocol
from ganmf_fast.split.result import ColdSplit, Folds, Split, Windows

__all__ = [
    "PARTS",
    "ColdSplit",
    "Folds",
    "Split",
    "Splits",
    "Windows",
    "cold_users",
    "holdout",
    "k_core",
    "k_fold",
    "leave_k_out",
    "paper_protocol",
    "published",
    "rolling",
    "temporal",
]
