"""Profiles divided by powers of their norms, so that those of active users weigh less in a fit.

A squared error that is summed over whole profiles is dominated by the longest, while metrics are
means over users.
With x~ = x / d(x), ``d(x) = c |x|^e``, an interaction of a user of n ones weighs in proportion to
n^-e: for e = 0 each interaction counts alike, for e = 1 each user. The number c leaves the sum of
squares of all profiles as it was, so that penalties and learning rates keep their meaning.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr

_MOST = 2
# Squares of divisors that are farther apart would not be weights in single precision.
_MOST_SPREAD = 1e12


@dataclass(frozen=True)
class ProfileNorms:
    """The divisor d of any profile.

    Parameters
    ----------
    exponent : float
        e, from 0 to 2.
    scale : float
        c, positive.
    """

    exponent: float
    scale: float

    def __post_init__(self) -> None:
        """Check the values, which may be those of a file."""
        if not (0 <= self.exponent <= _MOST and 0 < self.scale < np.inf):
            raise ValueError(
                f"the norms of profiles have the exponent {self.exponent} and the scale "
                f"{self.scale}, where one must be from 0 to {_MOST} and the other positive"
            )

    @classmethod
    def of(cls, profiles: Csr, exponent: float) -> Self:
        """Those under which the sum of squares of `profiles` stays.

        Raises
        ------
        ValueError
            If the norms are too far apart.
        """
        norms = _norms(profiles)
        norms = norms[norms > 0]
        least, most = norms.min(initial=np.inf), norms.max(initial=0)
        if exponent * np.log(max(most / least, 1)) > np.log(_MOST_SPREAD):
            raise ValueError(
                f"norm_exponent is {exponent}, but the norms of the profiles lie between "
                f"{least:.3g} and {most:.3g}, too far apart to divide by: set it to 0"
            )
        whole, divided = (norms**2).sum(), (norms ** (2 - 2 * exponent)).sum()
        return cls(float(exponent), float(np.sqrt(divided / whole)) if whole else 1.0)

    def divisors(self, profiles: Csr) -> NDArray[np.float64]:
        """The divisor of each row; that of empty ones is `scale`."""
        norms = _norms(profiles)
        return self.scale * np.where(norms > 0, norms, 1) ** self.exponent

    def divided(self, profiles: Csr) -> tuple[Csr, NDArray[np.float64]]:
        """Every row by its divisor, and the divisors."""
        divisors = self.divisors(profiles)
        values = np.ones(profiles.nnz) if profiles.values is None else profiles.values
        values = (values / np.repeat(divisors, np.diff(profiles.indptr))).astype(np.float32)
        return Csr(profiles.indptr, profiles.indices, values, profiles.n_cols), divisors


def _norms(profiles: Csr) -> NDArray[np.float64]:
    """Euclidean norm of each row."""
    lengths = np.diff(profiles.indptr)
    if profiles.values is None:
        return np.sqrt(lengths)
    rows = np.repeat(np.arange(profiles.n_rows), lengths)
    squares = np.square(profiles.values, dtype=np.float64)
    return np.sqrt(np.bincount(rows, squares, profiles.n_rows))
