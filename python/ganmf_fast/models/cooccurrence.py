"""Co-occurrence counts, computed once and shared by many fits of neighbourhood models.

Objective: co[i, j], the users of both items (or the items of both users), from which every
similarity of `ItemKNN` and `UserKNN` is computed.
Cost: that of one fit in time; 2 bytes (4 beyond 65,535 users of an item) for each pair of items, or
16 for each pair that occurs, whichever is less.
"""

from typing import TYPE_CHECKING

from ganmf_fast import _core
from ganmf_fast.base.checks import check_choice, check_memory, check_real
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.interactions import Interactions, interactions_of

if TYPE_CHECKING:
    from ganmf_fast._core import Csr


class Cooccurrence:
    """Numbers of common users of all pairs of items, to be passed to `fit` in place of the matrix.

    Fits that differ in similarity, `topk`, `shrink` or other parameters then share the counting,
    and have the same bits as without it. Where the counts do not suffice, because of
    `feature_weighting` or of values other than one, the matrix is used.

    Parameters
    ----------
    X : scipy sparse matrix or array, 2-D numpy array, Csr or Interactions
        Shape (users, items).
    of : {"items", "users"}, default "items"
        "items" for `ItemKNN`, "users" for `UserKNN`.
    max_gib : float, optional
        Most memory for the counts, in GiB; by default what is available.

    Raises
    ------
    MemoryError
        If the counts would take more, before they are computed.
    TypeError, ValueError
        If `X` or a parameter is not what it should be.
    """

    def __init__(self, X: object, of: str = "items", max_gib: float | None = None) -> None:
        self.of = check_choice("of", of, ("items", "users"))
        data = interactions_of(X)
        self.source: Csr | Interactions = as_csr(X, "X") if data is None else data
        self.csr = as_csr(self.source, "X")
        columns = self.csr if of == "items" else self.csr.transpose()
        needed = _core.PairCounts.bytes_needed(columns)
        what = f"counting co-occurrences of {columns.n_cols:,} {of}"
        advice = "fit the models without a Cooccurrence"
        if max_gib is not None:
            limit = check_real("max_gib", max_gib, above=0.0)
            if needed > limit * 2**30:
                raise MemoryError(
                    f"{what} needs {needed / 2**30:,.3f} GiB but max_gib is {limit:g}; {advice}"
                )
        check_memory(needed, what, advice)
        with reporter("Cooccurrence") as progress:
            self.counts = _core.PairCounts(columns, progress)

    def __repr__(self) -> str:
        return f"Cooccurrence({self.csr!r}, of={self.of!r})"
