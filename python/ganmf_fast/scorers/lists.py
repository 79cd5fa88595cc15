"""Top-N lists of a fitted scorer; users about whom it knows nothing have an empty one."""

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import read_only
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.dense import rank_blocks
from ganmf_fast.scorers.popularity import Popularity

# Lists of fewer bytes are allocated without a look at the memory.
_SMALL = 2**26

_NONE = read_only(np.empty(0, dtype=np.int64))


def rank_lists(
    scorer: Scorer,
    urm: Csr,
    request: RankRequest,
    report: Report | None = None,
    *,
    as_published: bool = False,
) -> Lists:
    """Top-N list of each user of `request`, as of `Scorer.rank`.

    A user without interactions in `urm` has an empty list, unless the scores are the same for
    everybody or random: the scores of other forms are zeros, rounding errors or biases then, and
    their order is that of the item numbers or means nothing.

    Parameters
    ----------
    scorer : Scorer
    urm : Csr
        The matrix that was fitted.
    request, report
        As for `Scorer.rank`.
    as_published : bool, default False
        Order equal scores as the published lists do instead of by item number.

    Raises
    ------
    MemoryError
        If the lists do not fit.
    """
    check_lists_fit(len(request.users), request.n)
    if as_published:
        items, scores = rank_blocks(
            lambda block: scorer.scores(urm, block), scorer.n_items, request, as_published=True
        )
    else:
        items, scores = scorer.rank(urm, request, report)
    empty = without_evidence(scorer, urm, request.users)
    if len(empty):
        items[empty], scores[empty] = -1, -np.inf
    return items, scores


def without_evidence(scorer: Scorer, urm: Csr, users: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in `users` of those about whom the scorer knows nothing."""
    if not scorer.needs_history:
        return _NONE
    indptr = urm.indptr
    if len(users) == 1:
        # A request for one user waits for this: no arrays.
        user = users.item()
        return _NONE if indptr.item(user) != indptr.item(user + 1) else np.zeros(1, np.int64)
    empty: NDArray[np.int64] = (indptr[users] == indptr[users + 1]).nonzero()[0]
    return empty


def popularity(urm: Csr) -> Popularity:
    """Numbers of users of each item, as scores for everybody."""
    return Popularity(np.bincount(urm.indices, minlength=urm.n_cols).astype(np.float32))


def check_lists_fit(n_users: int, n: int) -> None:
    """Refuse lists of `n` places for `n_users` users that do not fit into memory.

    Raises
    ------
    MemoryError
        Before anything is allocated.
    """
    needed = 8 * n_users * n
    if needed > _SMALL:
        what = f"{n_users:,} lists of {n:,} places"
        check_memory(needed, what, "ask for shorter lists, or for fewer users at a time")
