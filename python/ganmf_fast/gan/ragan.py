"""RAGAN's module: CFGAN on ratings, whose generator fills in some of those that are missing.

Objective: the losses of CFGAN (:mod:`ganmf_fast.gan.cfgan`) with ratings r_u in (0, 1] in place of
profiles, and the generated ones compared where r_u is not missing: ``f = G(r_u) e`` with ones in e
at the ratings. RAGANBT is the same on ratings beside which ``floor(low_share n)`` of the n missing
ones of each user, drawn uniformly, are virtual low ones. A model is then fitted on the given
ratings and on ``floor(share n)`` generated ones of each user, cut to the range of the given ones
(of ones, from the virtual low rating on).
Source: Chae et al., "Rating augmentation with generative adversarial networks towards accurate
collaborative filtering" (WWW'19), after the paper's description, unverified: no code of the authors
is known.
Deviation: unknown. Which items are low or generated is drawn uniformly, once.
Cost: that of CFGAN's sparse step; a fit of the base for each look at `validation`.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ganmf_fast._core import Csr, mask_unobserved
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.gan.batches import Batch, Batches
from ganmf_fast.gan.cfgan import CFGANModule
from ganmf_fast.gan.module import Losses
from ganmf_fast.gan.settings import RAGANSettings
from ganmf_fast.gan.sparse_ops import weighted
from ganmf_fast.models.registry import model_class
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.dense import DualEase
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.profile_maps import ProfileMap
from ganmf_fast.scorers.weights import UserWeights

# Streams of draws: which missing ratings are low, and which are generated.
_LOW, _GENERATED = 0, 1
# Users whose missing ratings are looked at together.
_BLOCK = 256


class RAGANModule(CFGANModule):
    """CFGAN on the ratings of `profiles`, and on virtual low ones."""

    def __init__(self, settings: RAGANSettings, profiles: Csr) -> None:
        self._own = settings
        self._given = profiles
        self._map: ProfileMap | None = None
        ratings = to_scipy(profiles)
        self._highest = float(ratings.data.max())
        self._lowest = float(ratings.data.min())
        scaled: Any = ratings / np.float32(self._highest)
        low = settings.low_rating if settings.bt else 0.0
        if self._lowest == self._highest:
            # Such as ones: beside them the virtual ratings are the low ones.
            self._lowest = low * self._highest or self._highest
            if self._lowest == self._highest:
                warnings.warn(
                    f"all ratings are {self._highest:g}, and so are the generated ones: with "
                    "bt=True and a low_rating between 0 and 1 there are low ones as well",
                    UserWarning,
                    stacklevel=2,
                )
        if low and settings.low_share:
            scaled = scaled + low * self._missing(settings.low_share, _LOW)
        super().__init__(settings.networks(), as_csr(sp.csr_array(scaled, dtype=np.float32)))

    def _missing(self, share: float, stream: int) -> sp.csr_array:
        """Ones at some missing ratings of each user who has ratings."""
        given, parts = self._given, []
        n_ratings = np.diff(given.indptr)
        for start in range(0, given.n_rows, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, given.n_rows))
            out = np.empty((len(rows), given.n_cols), np.float32)
            mask_unobserved(given, rows, share, self._own.seed, stream, out)
            out[n_ratings[rows] == 0] = 0
            parts.append(sp.csr_array(out))
        return sp.csr_array(sp.vstack(parts))

    def _generated(self, batch: Batch, hidden: Tensor, profiles: Tensor | None) -> Tensor:
        kernel = self.discriminator.first[1]
        return weighted(batch, self._at_nonzeros(batch, hidden), kernel)

    @torch.no_grad()
    def generated(self) -> sp.csr_array:
        """The generated ratings."""
        cells = self._missing(self._own.share, _GENERATED)
        indptr, indices = cells.indptr, cells.indices
        batches = Batches(self.profiles, _BLOCK, self.device)
        values = np.empty(cells.nnz, np.float32)
        for start in range(0, cells.shape[0], _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, cells.shape[0]))
            made = self.generator.head(self._hidden(batches.whole(rows))).numpy(force=True)
            part = slice(indptr[rows[0]], indptr[rows[-1] + 1])
            at = np.repeat(rows - start, np.diff(indptr[start : rows[-1] + 2]))
            values[part] = made[at, indices[part]]
        values = np.clip(self._highest * values, self._lowest, self._highest)
        return sp.csr_array((values, indices, indptr), shape=cells.shape)

    def augmented(self) -> Csr:
        """The given ratings and the generated ones; without these the given matrix itself."""
        if not self._own.share:
            return self._given
        return as_csr(sp.csr_array(to_scipy(self._given) + self.generated()))

    @torch.no_grad()
    def diagnose(self) -> Losses:
        """See ``GANModule``; the spread is that of the sample's ratings, of all items."""
        made = self.generator.head(self._hidden(self._batches[0].whole(self.sample)))
        found = self._highest * made.numpy(force=True).astype(np.float64)
        cut = np.clip(found, self._lowest, self._highest)
        return {**super().diagnose(), "generated_deviation": float(cut.std())}

    def scorer(self) -> Scorer:
        """See ``GANModule``: what the base leaves behind, for the profiles as given."""
        base, augmented = model_class(self._own.base)(), self.augmented()
        try:
            scorer = base.fit(augmented, verbose=False).scorer_
        except ValueError as error:
            text = f"base {self._own.base}, with its defaults, cannot be fitted on these ratings"
            raise ValueError(f"{text}: {error}") from error
        if isinstance(scorer, DualEase) and self._own.share:
            # Its own rows hold generated ratings.
            return scorer.of_profiles(self._given)
        if isinstance(scorer, UserWeights):
            # Neighbours recommend what was generated for them, too.
            return replace(scorer, fitted=augmented)
        self._map = scorer.profile_map if isinstance(scorer, Factors) else None
        return scorer

    def profile_map(self) -> ProfileMap | None:
        """See ``GANModule``: that of the base that was fitted last."""
        return self._map
