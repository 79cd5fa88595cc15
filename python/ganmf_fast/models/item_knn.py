"""ItemKNN: weights between items from the overlap of their users.

Objective: W[i, j] = similarity of i and j, the `topk` best i kept for each j; scores are x W.
Source: Sarwar, Karypis, Konstan, Riedl, "Item-based collaborative filtering recommendation
algorithms", WWW 2001; shrinkage as in the published comparison: every denominator ends in
shrink + 1e-6. Deviation: ties go to the smaller item number.
Cost: O(sum over users of n_u^2) time, O(topk items) memory, plus one row per thread.
"""

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.checks import check_bool, check_choice, check_int, check_real
from ganmf_fast.models.scorers import ItemWeights
from ganmf_fast.progress import Report

__all__ = ["ItemKNN"]

_SIMILARITIES = ("cosine", "asymmetric", "jaccard", "dice", "tversky", "euclidean")
_WEIGHTINGS = ("TF-IDF", "BM25")


class ItemKNN(Recommender):
    """Nearest neighbours between items.

    Parameters
    ----------
    topk : int, default 100
        Neighbours kept for each item, at least 1.
    shrink : float, default 0
        Added to the denominator, at least 0: lowers similarities that rest on few users.
    similarity : {"cosine"}, default "cosine"
        The others that the field knows ("asymmetric", "jaccard", "dice", "tversky", "euclidean")
        are not in this version and are refused.
    normalize : bool, default True
        Divide the overlap co by sqrt(n_i n_j) + shrink + 1e-6; otherwise by `shrink`, or by nothing
        where that is 0.
    asymmetric_alpha : float, default 0.5
        Between 0 and 2; only read by "asymmetric".
    tversky_alpha, tversky_beta : float, default 1.0
        Between 0 and 2; only read by "tversky".
    feature_weighting : None
        "TF-IDF" and "BM25" are not in this version and are refused.

    Attributes
    ----------
    item_weights_ : csr_array of float32, shape (n_items, n_items)
        Column j holds the neighbours of item j.

    References
    ----------
    B. Sarwar, G. Karypis, J. Konstan, J. Riedl. Item-based collaborative filtering recommendation
    algorithms. WWW 2001.
    """

    def __init__(
        self,
        topk: int = 100,
        shrink: float = 0,
        similarity: str = "cosine",
        normalize: bool = True,
        asymmetric_alpha: float = 0.5,
        tversky_alpha: float = 1.0,
        tversky_beta: float = 1.0,
        feature_weighting: str | None = None,
    ) -> None:
        self.topk = topk
        self.shrink = shrink
        self.similarity = similarity
        self.normalize = normalize
        self.asymmetric_alpha = asymmetric_alpha
        self.tversky_alpha = tversky_alpha
        self.tversky_beta = tversky_beta
        self.feature_weighting = feature_weighting

    def _check_params(self) -> None:
        check_int("topk", self.topk, 1)
        check_real("shrink", self.shrink, 0)
        check_bool("normalize", self.normalize)
        if check_choice("similarity", self.similarity, _SIMILARITIES) != "cosine":
            raise ValueError(
                f'similarity "{self.similarity}" is not available in this version, only "cosine" is'
            )
        if self.feature_weighting is not None:
            check_choice("feature_weighting", self.feature_weighting, _WEIGHTINGS)
            raise ValueError(
                f'feature_weighting "{self.feature_weighting}" is not available in this version, '
                "only None is"
            )
        for name in ("asymmetric_alpha", "tversky_alpha", "tversky_beta"):
            check_real(name, getattr(self, name), 0, 2)

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> ItemWeights:
        del validation
        topk = min(int(self.topk), urm.n_cols)
        return ItemWeights(
            _core.fit_item_knn_cosine(urm, topk, float(self.shrink), bool(self.normalize), report)
        )
