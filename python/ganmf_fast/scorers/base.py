"""Protocol of scorers: the forms of a fitted model from which top-N lists are computed.

A scorer ranks without holding a users x items matrix, is saved as named arrays, and is validated on
construction, whether it was just trained or read from a file. Each form is a file of this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.scorers.tensors import Floats, Tensors

Lists: TypeAlias = tuple[NDArray[np.int32], Floats]
"""Items and scores of top-N lists, both of shape (users, n), padded with -1 and -inf."""


class Scorer(ABC):
    """Scores of all items for each user, in a form that can be ranked."""

    kind: ClassVar[str]
    """Name of the form in saved files."""

    needs_history: ClassVar[bool] = True
    """Whether scores say nothing about a user without interactions, who then has an empty list."""

    def __getstate__(self) -> dict[str, Any]:
        # What was made to rank faster is made again by whoever needs it.
        own = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(own, name, None), cached_property)
        }

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Number of items."""

    @property
    def n_users(self) -> int | None:
        """Number of users, or None if any profile can be scored."""
        return None

    @abstractmethod
    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """Top-N list of each user: best first, equal scores by ascending item number.

        Parameters
        ----------
        profiles : Csr
            The interactions that the model was fitted on; ignored by forms that hold their users.
        request : RankRequest
            Users (rows of `profiles`), length of the lists, items to exclude, candidates.
        report : callable, optional

        Returns
        -------
        items : int32 array (len(request.users), request.n), padded with -1
        scores : float32 array of that shape, padded with -inf
        """

    @abstractmethod
    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """Scores of all items, float32 (len(users), n_items); for rows `users` of `profiles`."""

    def of_profiles(self, profiles: Csr) -> "Scorer":
        """Scorer of users that were not fitted: its user r is row r of `profiles`.

        `profiles` are to be passed to its methods. A form that holds no users is its own.

        Raises
        ------
        NotImplementedError
            If the scores are only defined for the users that were fitted.
        """
        if self.n_users is None:
            return self
        raise NotImplementedError("scores are only defined for the users that were fitted")

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """The `n` items nearest to each of `items`; as of `rank`, of shape (len(items), n).

        Raises
        ------
        NotImplementedError
            If the form holds nothing about pairs of items.
        """
        raise NotImplementedError("nothing is known about pairs of items")

    def similar_users(self, profiles: Csr, users: NDArray[np.int64], n: int) -> Lists:
        """The `n` users nearest to each of `users`; as of `rank`, of shape (len(users), n).

        Raises
        ------
        NotImplementedError
            If the form holds nothing about pairs of users.
        """
        raise NotImplementedError("nothing is known about pairs of users")

    def contributions(self, profiles: Csr, user: int, item: int) -> Floats:
        """What each item of a user's profile adds to the score of `item`.

        Returns
        -------
        float32 array
            One number for each item in row `user` of `profiles`; their sum is the score.

        Raises
        ------
        NotImplementedError
            If scores are not sums over the items of a profile.
        """
        raise NotImplementedError("its scores are not sums over the items of a profile")

    @abstractmethod
    def tensors(self) -> Tensors:
        """Arrays that are saved, by name."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Scorer":
        """Scorer from the arrays of `tensors`.

        Raises
        ------
        KeyError
            If an array is missing.
        TypeError, ValueError
            If types, shapes or values are not those of this form.
        """
