"""Targets whose inputs are objects: matrices, labels, arguments and lists of arguments."""

from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np
import scipy.sparse as sp
from tests.fuzz.cases import Sparse, real
from tests.fuzz.targets import Target, WrongError
from tests.fuzz.values import FLOATS, array, bent_array, either, integer, odd

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.urm import as_csr, to_scipy

__all__ = ["TARGETS"]

_FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")


def _check(holds: Any, what: str) -> None:
    if not holds:
        raise WrongError(what)


def _check_csr(csr: Any) -> None:
    """The invariants of `Csr`, said again."""
    indptr, indices = csr.indptr, csr.indices
    _check(len(indptr) == csr.n_rows + 1 and indptr[0] == 0, "indptr does not begin with 0")
    _check(indptr[-1] == len(indices) == csr.nnz, "indptr does not end with the nonzeros")
    lengths = np.diff(indptr)
    _check((lengths >= 0).all(), "indptr falls")
    _check(((indices >= 0) & (indices < csr.n_cols)).all(), "a column is out of range")
    rows = np.repeat(np.arange(csr.n_rows), lengths)
    rising = (np.diff(indices.astype(np.int64)) > 0) | (np.diff(rows) > 0)
    _check(rising.all(), "columns do not rise in a row")
    if csr.values is not None:
        _check(len(csr.values) == len(indices), "values are not as many as columns")
        _check(np.isfinite(csr.values).all(), "a value is not finite")


def _parts(rng: Random, n_rows: int, n_cols: int) -> tuple[Any, Any, Any]:
    """Rows, columns and values of a small canonical matrix."""
    cells = sorted(rng.sample(range(n_rows * n_cols), rng.randrange(n_rows * n_cols + 1)))
    rows = np.array([cell // n_cols for cell in cells], dtype=np.int32)
    cols = np.array([cell % n_cols for cell in cells], dtype=np.int32)
    values = np.array([rng.randrange(1, 6) for _ in cells], dtype=np.float32)
    return rows, cols, values


def _dense(rng: Random) -> Any:
    rows, cols, values = _parts(rng, rng.randrange(1, 5), rng.randrange(1, 6))
    dense = np.zeros((5, 6), dtype=rng.choice(("f4", "f4", "f8", "i8", "?", "u1")))
    dense[rows, cols] = values
    return dense[: rng.randrange(1, 6), : rng.randrange(1, 7)]


def _is_sound(X: Any) -> bool:
    """Whether the internals of a scipy matrix are those of a matrix, said again."""

    def whole(array: Any, below: int | None = None) -> bool:
        if isinstance(array, list):  # as good as the array that scipy makes of it
            array = np.asarray(array)
        right = isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "iu"
        return right and (below is None or bool(((array >= 0) & (array < below)).all()))

    try:
        n_rows, n_cols = X.shape
        if X.format in ("csr", "csc", "bsr"):
            major, minor = (n_cols, n_rows) if X.format == "csc" else (n_rows, n_cols)
            if X.format == "bsr":
                if X.data.ndim != 3 or 0 in X.data.shape[1:]:
                    return False
                height, width = X.data.shape[1:]
                if major % height or minor % width:
                    return False
                major, minor = major // height, minor // width
            if not whole(X.indptr) or not whole(X.indices) or len(X.indptr) != major + 1:
                return False
            falls = (X.indptr[1:] < X.indptr[:-1]).any()
            n = int(X.indptr[-1])
            return (
                not falls
                and X.indptr[0] == 0
                and n <= min(len(X.indices), len(X.data))
                and whole(X.indices[:n], minor)
            )
        if X.format == "coo":
            rows, cols = X.coords
            return len(rows) == len(cols) == len(X.data) and (
                whole(rows, n_rows) and whole(cols, n_cols)
            )
        if X.format == "dia":
            return whole(X.offsets) and X.data.ndim == 2 and len(X.data) == len(X.offsets)
        if X.format == "dok":
            return all(0 <= row < n_rows and 0 <= col < n_cols for row, col in dict(X.items()))
        return len(X.rows) == len(X.data) == n_rows and all(
            len(row) == len(values) and all(0 <= col < n_cols for col in row)
            for row, values in zip(X.rows, X.data, strict=True)
        )
    except (TypeError, ValueError, IndexError, AttributeError):
        return False


class CsrTarget(Target):
    """`_core.Csr`, `Csr.from_coo` and `_core.CsrBuilder`."""

    name = "csr"
    documented = (TypeError, ValueError, OverflowError)
    whole = 1_000_000

    def draw(self, rng: Random) -> dict[str, Any]:
        """Arrays of a right matrix, most often with something wrong."""
        n_rows, n_cols = rng.randrange(1, 5), rng.randrange(1, 6)
        rows, cols, values = _parts(rng, n_rows, n_cols)
        weights = values if rng.random() < 0.6 else None
        call = rng.choice(("Csr", "Csr", "from_coo", "builder"))
        indptr = np.searchsorted(rows, np.arange(n_rows + 1)).astype(np.int64)
        if call == "Csr":
            arguments = [indptr, cols, weights, n_cols]
        elif call == "from_coo":
            order = list(range(len(rows)))
            rng.shuffle(order)
            weights = None if weights is None else weights[order]
            arguments = [rows[order], cols[order], weights, n_rows, n_cols]
            arguments += [rng.choice(("error", "sum", "first", "error", "SUM"))]
        else:
            arguments = [n_rows, n_cols, rows, rows, cols]
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            at = rng.randrange(len(arguments))
            given = arguments[at]
            if isinstance(given, np.ndarray):
                arguments[at] = bent_array(rng, given)
            elif isinstance(given, int):
                arguments[at] = either(rng, lambda: integer(rng, 7), lambda: odd(rng), 0.3)
            else:
                arguments[at] = odd(rng)
        # A matrix of 2^31 rows is none of a few bytes.
        sizes = {"from_coo": (3, 4), "builder": (0, 1)}.get(call, ())
        for at in sizes:
            if isinstance(arguments[at], int) and 2**20 < arguments[at] < 2**40:
                arguments[at] = 2**20
        return {"call": call, "arguments": arguments}

    def plain(self) -> dict[str, Any]:
        """One interaction."""
        zero = np.zeros(1, dtype=np.int32)
        return {"call": "builder", "arguments": [1, 1, zero, zero, zero]}

    def run(self, case: Mapping[str, Any]) -> None:
        """Make the matrix, and look at it."""
        given = real(case["arguments"])
        match case["call"]:
            case "Csr":
                csr = _core.Csr(*given)
            case "from_coo":
                csr = _core.Csr.from_coo(*given)
            case _:
                builder = _core.CsrBuilder(*given[:2])
                builder.count(given[2])
                builder.fill(*given[3:])
                csr = builder.finish()
        _check_csr(csr)
        if csr.n_cols < 2**20:
            back = csr.transpose().transpose()
            _check((back.indices == csr.indices).all(), "transposed twice it is another")


class AsCsrTarget(Target):
    """`as_csr`: every format of scipy with any internals, arrays, and what is no matrix."""

    name = "as_csr"
    documented = (TypeError, ValueError)
    whole = 1_000_000

    def draw(self, rng: Random) -> dict[str, Any]:
        """A matrix."""
        chance = rng.random()
        if chance < 0.05:
            return {"X": odd(rng)}
        dense = _dense(rng)
        if chance < 0.15:
            return {"X": bent_array(rng, dense) if rng.random() < 0.7 else array(rng)}
        form = rng.choice(_FORMATS)
        cls = f"{form}_{rng.choice(('array', 'array', 'matrix'))}"
        matrix = getattr(sp, cls)(dense)
        changes = {}
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            name, value = self._change(rng, form, matrix)
            changes[name] = value
        return {"X": Sparse(cls, dense, changes)}

    def _change(self, rng: Random, form: str, matrix: Any) -> tuple[str, Any]:
        """An attribute and what it is replaced by."""
        names = {
            "csr": ("indptr", "indices", "data"),
            "csc": ("indptr", "indices", "data"),
            "bsr": ("indptr", "indices", "data"),
            "coo": ("coords", "data"),
            "dia": ("offsets", "data"),
            "dok": ("_dict",),
            "lil": ("rows", "data"),
        }[form]
        kind = rng.randrange(12)
        if kind == 0:
            return "_shape", rng.choice(
                (
                    *((3, 3), (0, 0), (2**31, 2), (2, 2**31), (2**40, 2**40), (2**63, 1)),
                    *((-1, 2), (3,), (2, 2, 2), (1.5, 2), ("a", 2), None),
                )
            )
        if kind == 1 and form in ("csr", "csc", "bsr", "coo"):
            return rng.choice(("has_canonical_format", "_has_canonical_format")), rng.random() < 0.7
        if kind == 2 and form in ("csr", "csc", "bsr"):
            return rng.choice(("has_sorted_indices", "_has_sorted_indices")), rng.random() < 0.7
        name = rng.choice(names)
        given = getattr(matrix, name)
        if name == "coords":
            parts = list(given)
            at = rng.randrange(2)
            parts[at] = bent_array(rng, parts[at])
            return name, tuple(parts[: rng.choice((2, 2, 2, 1))])
        if name == "_dict":
            cells = dict(given)
            key = either(rng, lambda: (integer(rng, 5), integer(rng, 6)), lambda: "a", 0.1)
            cells[key] = either(rng, lambda: rng.choice(FLOATS), lambda: odd(rng, 0))
            return name, cells
        if form == "lil":
            rows = [list(row) for row in given]
            row = rng.choice(rows)
            row.insert(
                rng.randrange(len(row) + 1),
                either(rng, lambda: integer(rng, 6), lambda: odd(rng, 0)),
            )
            made = np.empty(len(rows), dtype=object)
            made[:] = rows
            return name, made if rng.random() < 0.8 else odd(rng)
        return name, bent_array(rng, given)

    def plain(self) -> dict[str, Any]:
        """One interaction."""
        return {"X": Sparse("lil_array", np.ones((1, 1)))}

    def run(self, case: Mapping[str, Any]) -> None:
        """Validate it."""
        given = case["X"]
        X = real(given)
        csr = as_csr(X)
        _check_csr(csr)
        if isinstance(given, Sparse):
            _check(_is_sound(real(given)), "broken internals are taken for a matrix")
        if isinstance(given, Sparse) and not given.changes:
            _check((to_scipy(csr).toarray() == given.dense).all(), "it is another matrix")


class SplitTarget(Target):
    """Functions of `split` with any arguments, and labels of splits."""

    name = "split"
    documented = (TypeError, ValueError, OverflowError)
    whole = 1_000_000

    def draw(self, rng: Random) -> dict[str, Any]:
        """A function and its arguments."""
        dense = _dense(rng)
        nnz = int(np.count_nonzero(dense))
        labels = np.array([rng.randrange(3) for _ in range(nnz)], dtype=np.uint8)
        times = np.array([rng.randrange(5) for _ in range(nnz)], dtype=np.int64)

        def bent(usual: Any) -> Any:
            return either(rng, lambda: usual, lambda: bent_array(rng, usual), 0.6)

        def size() -> Any:
            usual = rng.choice((0.2, 0.5, 1, 2))
            return either(rng, lambda: usual, lambda: rng.choice((*FLOATS, odd(rng))), 0.5)

        def whole() -> Any:
            return either(rng, lambda: integer(rng, 4), lambda: odd(rng))

        flag = either(rng, lambda: rng.random() < 0.5, lambda: odd(rng, 0))
        call, arguments = rng.choice(
            (
                ("holdout", lambda: [size(), flag, whole()]),
                ("leave_k_out", lambda: [whole(), whole()]),
                ("k_fold", lambda: [whole(), flag, whole()]),
                ("cold_users", lambda: [size(), size(), whole()]),
                ("k_core", lambda: [whole(), whole()]),
                ("paper_protocol", lambda: [whole()]),
                ("temporal", lambda: [bent(times), size(), whole(), flag]),
                ("divide_cells", lambda: [bent(labels), whole()]),
                ("part_cells", lambda: [bent(labels), whole()]),
                ("looks_ahead", lambda: [bent(labels), bent(times)]),
                ("split_holdout", lambda: [size(), flag, whole()]),
                ("split_latest", lambda: [bent(times), size()]),
                ("split_cut_for", lambda: [bent(times), size()]),
                ("split_cut_at", lambda: [bent(times), whole()]),
                ("split_cold_users", lambda: [size(), size(), whole()]),
                ("split_k_fold", lambda: [whole(), flag, whole()]),
                ("split_leave_k_out", lambda: [whole(), whole()]),
            )
        )
        given = arguments()
        if call == "divide_cells" and isinstance(given[1], int) and given[1] > 2**12:
            given[1] = 2**12  # as many matrices
        return {"call": call, "dense": dense, "arguments": given}

    def plain(self) -> dict[str, Any]:
        """Half and half."""
        return {"call": "holdout", "dense": np.ones((4, 4)), "arguments": [0.5, True, 0]}

    def run(self, case: Mapping[str, Any]) -> None:
        """Split."""
        call, dense = case["call"], case["dense"]
        arguments = real(case["arguments"])
        if call == "split_cut_for":
            _core.split_cut_for(*arguments)
            return
        if hasattr(_core, call) and not hasattr(gf.split, call):
            csr = as_csr(dense)
            found = getattr(_core, call)(csr, *arguments)
            if isinstance(found, np.ndarray):
                _check(len(found) == csr.nnz, "labels are not as many as interactions")
            elif call in ("divide_cells", "part_cells"):
                _check(sum(part.nnz for part in found) == csr.nnz, "interactions are lost")
                for part in found:
                    _check_csr(part)
            return
        if call == "temporal":
            data = gf.Interactions.from_matrix(dense, timestamps=arguments[0])
            found = gf.split.temporal(data, arguments[1], *self._given(arguments[2:]))
        else:
            found = getattr(gf.split, call)(dense, *arguments)
        if call == "k_core":
            _check(found.urm.nnz > 0, "a core without interactions")
            return
        if call == "k_fold":
            if len(found) > 50:  # as many matrices
                return
            _check(sum(fold.test.nnz for fold in found) == np.count_nonzero(dense), "folds overlap")
            return
        parts = [found.train, found.test]
        parts += [found.profile] if call == "cold_users" else []
        total = sum(part.nnz for part in parts)
        if call != "paper_protocol":
            _check(total == np.count_nonzero(dense), "interactions are lost")
        _check(parts[0].multiply(parts[1]).nnz == 0, "train and test overlap")
        repr(found)

    def _given(self, rest: list[Any]) -> list[Any]:
        """The cut is seldom given."""
        return [None if isinstance(rest[0], int) and rest[0] % 2 else rest[0], rest[1]]


class ListTarget(Target):
    """Users, items, candidates, cutoffs and lists that models and evaluations are asked with."""

    name = "lists"
    documented = (TypeError, ValueError, OverflowError, MemoryError, NotImplementedError)
    whole = 1_000_000

    def __init__(self, folder: Any, corpus: Mapping[str, Any]) -> None:
        super().__init__(folder, corpus)
        rng = Random(0)
        dense = np.array([[rng.random() < 0.4 for _ in range(9)] for _ in range(12)], dtype="f4")
        dense[:, 0] = 1
        dense[11] = 0
        self.train = sp.csr_array(dense)
        test = np.array([[rng.random() < 0.4 for _ in range(9)] for _ in range(12)], dtype="f4")
        self.test = sp.csr_array(test * (dense == 0))
        names = [[f"{letter}{at}" for at in range(side)] for letter, side in (("u", 12), ("i", 9))]
        data = gf.Interactions.from_matrix(dense, *names)
        self.models = {
            "ItemKNN": gf.ItemKNN(topk=4).fit(self.train),
            "PureSVD": gf.PureSVD(num_factors=2).fit(data),
            "TopPopular": gf.TopPopular().fit(self.train),
        }

    def draw(self, rng: Random) -> dict[str, Any]:
        """A question."""
        model = rng.choice(("ItemKNN", "PureSVD", "TopPopular"))
        call, names = rng.choice(
            (
                ("recommend", ("users", "n", "candidates", "exclude_items", "unknown", "fallback")),
                ("recommend", ("users", "n", "exclude_seen", "candidates", "exclude_items")),
                ("score_users", ("users",)),
                ("unknown_users", ("users",)),
                ("similar_items", ("item", "n")),
                ("similar_users", ("users", "n")),
                ("fold_in", ("profiles", "unknown")),
                ("evaluate", ("cutoffs", "metrics", "users", "block_size", "ties", "unknown")),
                ("evaluate_lists", ("items", "cutoffs", "users", "metrics", "label")),
            )
        )
        needed = {"users", "item", "items", "profiles"} & {*names[:1]}
        given = {
            name: self._argument(rng, name, model)
            for name in names
            if name in needed or rng.random() < 0.5
        }
        return {"call": call, "model": model, "given": given}

    def _argument(self, rng: Random, name: str, model: str) -> Any:
        def one(size: int, letter: str) -> Any:
            number = integer(rng, size + 1)
            return f"{letter}{number}" if model == "PureSVD" else number

        def some(size: int, letter: str, most: int = 6) -> Any:
            found = [one(size, letter) for _ in range(rng.randrange(most))]
            if rng.random() < 0.4:
                return np.array(found, dtype=None if found else "i8")
            return either(rng, lambda: found, lambda: tuple(found))

        def lists() -> Any:
            width = rng.randrange(1, 5)
            rows = rng.choice((12, 12, 12, 3))
            lists = [[integer(rng, 9) for _ in range(width)] for _ in range(rows)]
            if rng.random() < 0.6:
                return (
                    np.array(lists, dtype=object).astype(
                        rng.choice(("i4", "i8", "O")), casting="unsafe"
                    )
                    if all(abs(item) < 2**31 for row in lists for item in row)
                    else lists
                )
            return lists

        usual = {
            "users": lambda: some(12, "u"),
            "item": lambda: one(9, "i"),
            "items": lists,
            "n": lambda: rng.choice((1, 3, 20, [1, 2, 3], np.int32(4))),
            "candidates": lambda: some(9, "i"),
            "exclude_items": lambda: some(9, "i"),
            "exclude_seen": lambda: rng.random() < 0.5,
            "unknown": lambda: rng.choice(("error", "skip")),
            "fallback": lambda: rng.choice((None, "popular")),
            "profiles": lambda: Sparse(
                "csr_array", _dense(rng).astype("f4").repeat(2, 1)[:, :9], {}
            ),
            "cutoffs": lambda: rng.choice(((5,), (2, 20), [1], np.array([3]), (5, 5), (9, 2))),
            "metrics": lambda: rng.choice((["map"], ("ndcg", "mrr"), ["novelty"], "map", [])),
            "block_size": lambda: rng.choice((None, 1, 5, 100)),
            "ties": lambda: rng.choice(("index", "published")),
            "label": lambda: "lists",
        }[name]
        return either(rng, usual, lambda: odd(rng), 0.3)

    def plain(self) -> dict[str, Any]:
        """An evaluation."""
        return {"call": "evaluate", "model": "PureSVD", "given": {}}

    def run(self, case: Mapping[str, Any]) -> None:
        """Ask."""
        model = self.models[case["model"]]
        call, given = case["call"], real(case["given"])
        if call == "evaluate":
            gf.evaluate(model, self.train, self.test, allow_overlap=True, **given).to_dict()
        elif call == "evaluate_lists":
            gf.evaluate_lists(given.pop("items"), self.test, **given)
        else:
            if call == "similar_items":
                given["items"] = given.pop("item")
            found = getattr(model, call)(**given)
            if call == "recommend" and isinstance(found, tuple):
                self._check_lists(found, given)

    def _check_lists(self, found: Any, given: Mapping[str, Any]) -> None:
        seen = self.train.tolil().rows
        users = (
            np.atleast_1d(np.asarray(given["users"])) if hasattr(given["users"], "__len__") else []
        )
        _check(found.items.shape == found.scores.shape, "items and scores differ in shape")
        for at, items in enumerate(found.items):
            listed = items[items >= 0]
            _check(len(set(listed.tolist())) == len(listed), "an item stands twice in a list")
            _check((items[len(listed) :] == -1).all(), "a gap within a list")
            _check((listed < 9).all(), "an item that does not exist")
            _check((np.diff(found.scores[at][: len(listed)]) <= 0).all(), "scores rise")
            if given.get("exclude_seen", True) is True and len(users) == len(found.items):
                user = int(users[at])
                if 0 <= user < 12 and given.get("fallback") is None:
                    _check(not {*listed.tolist()} & {*seen[user]}, "a seen item is listed")


TARGETS: tuple[type[Target], ...] = (CsrTarget, AsCsrTarget, SplitTarget, ListTarget)
