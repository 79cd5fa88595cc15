"""GraphGAN: vertex vectors of a graph whose generator draws vertices by walks in its trees.

Objective, source and steps: the kernel `ganmf_core::models::graph_gan` (docs/algorithms.md).
Deviation: the authors never released their recommender; here the graph is that of users and items,
both sets of vectors start from BPR-MF, and scores have item biases. The generator follows the
gradient of the graph softmax; with `published_quirks` as the released code behaves.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_array

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import as_array, check_memory
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.progress import reporter, verbosity
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.models.bpr_mf import BPRMF
from ganmf_fast.models.fit_data import FitCallback, FitData
from ganmf_fast.models.pretrained import PretrainedRecommender
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.tensors import Floats


@dataclass(frozen=True, eq=False)
class GraphEmbeddings:
    """Vertex vectors of a graph; a score is ``v[a] @ v[b] + bias[b]``.

    Attributes
    ----------
    generator, discriminator : float32 arrays, shape (n_vertices, K)
    generator_bias, discriminator_bias : float32 arrays, shape (n_vertices,)
    history : list of dict
        One row a round: `epoch`, `d_loss`, `g_loss`, `seconds`.
    """

    generator: Floats
    generator_bias: Floats
    discriminator: Floats
    discriminator_bias: Floats
    history: list[dict[str, float]]


@hyperparameters
class GraphGAN(PretrainedRecommender):
    """Vertex vectors of the graph of users and items, in a minimax game.

    The generator draws vertices for a root by a walk in the root's breadth-first tree, which
    prefers neighbours with high scores and may turn back at any vertex, where it ends (graph
    softmax). The discriminator learns to tell the neighbours of each root from such draws, and the
    generator that its draws look like neighbours. The scores are the generator's. `embed_graph`
    does the same for the vertices of any graph.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K + 1) and (n_items, K + 1)
        The last column holds ones, and the biases of the items.
    best_epoch_, history_
        See :class:`~ganmf_fast.models.iterative.IterativeRecommender`; the history has `d_loss`,
        the mean logistic loss of the discriminator, and `g_loss`, minus the mean reward of the
        generator's draws; with `published_quirks` the mean loss of its pairs.
    pretraining_ : list of dict
        History of the pre-training; empty with `start_path`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is out of range, no user has both seen and unseen items, the
        file of `start_path` does not fit, the checkpoint is damaged or another run's, or training
        diverges.
    MemoryError
        From `fit`, before anything is computed, if the factors would not fit.

    Notes
    -----
    No rate was found at which the game improves on its start (docs/results/adversarial.md); with
    those of the released code, 1e-3 and 30 epochs of each network in a round, it collapses, on the
    authors' benchmark within the first round. Trees are grown anew for each root and pass,
    and no farther than walks come: a pass takes O(vertices interactions) time at most and
    O(vertices) memory. Steps follow one another; roots draw in parallel, with the same result for
    any number of threads. New users get factors by the steps of the pre-training with the items as
    they are. A checkpoint is of the rounds: what is interrupted before the first begins anew.

    References
    ----------
    H. Wang, J. Wang, J. Wang, M. Zhao, W. Zhang, F. Zhang, X. Xie, M. Guo. GraphGAN: graph
    representation learning with generative adversarial nets. AAAI 2018.
    """

    num_factors: int = param(
        20,
        "Columns K of the factors, beside the biases.",
        at_least=1,
        search={"int": [5, 250], "at_most": "shorter side"},
    )
    epochs: int = param(
        20,
        "Number of rounds, in each of which both networks have their epochs; with `validation` the "
        "maximum.",
        at_least=1,
        search={"choice": [20]},
    )
    d_epochs: int = param(
        5, "Epochs of the discriminator in a round.", at_least=0, search={"int": [1, 30]}
    )
    g_epochs: int = param(
        5, "Epochs of the generator in a round.", at_least=0, search={"int": [1, 30]}
    )
    d_lr: float = param(
        1e-4,
        "Learning rate of the discriminator's Adam.",
        above=0,
        search={"real": [1e-6, 1e-2], "log": True},
    )
    g_lr: float = param(
        1e-5,
        "Learning rate of the generator's Adam.",
        above=0,
        search={"real": [1e-6, 1e-2], "log": True},
    )
    d_reg: float = param(
        1e-5, "Penalty on the discriminator's vectors and bias of each pair.", at_least=0
    )
    g_reg: float = param(
        1e-5,
        "Penalty on the generator's vectors that a batch moves; with `published_quirks` on those "
        "of each pair.",
        at_least=0,
    )
    samples: int = param(20, "Walks of the generator from each root and drawing.", at_least=1)
    batch_size: int = param(
        64,
        "Pairs in a batch of the discriminator, roots in one of the generator; with "
        "`published_quirks` pairs.",
        at_least=1,
    )
    pretrain_epochs: int = param(
        100,
        "Epochs of the pre-training, with `validation` the maximum; 0 starts from random factors.",
        at_least=0,
    )
    pretrain_lr: float = param(0.05, "Learning rate of the pre-training.", above=0)
    pretrain_reg: float = param(0.01, "Penalty of the pre-training.", at_least=0)
    published_quirks: bool = param(
        False,
        "As released: the generator's loss is that of pairs of vertices on its walks, not of the "
        "graph softmax, and walks are drawn once a round; a walk for the discriminator takes the "
        "root from the neighbour it passes for good; a root has no pairs if such a walk meets a "
        "leaf; batches are shuffled, not pairs.",
    )

    def embed_graph(
        self,
        adjacency: object,
        start: object = None,
        *,
        callback: FitCallback | None = None,
        verbose: bool | None = None,
    ) -> GraphEmbeddings:
        """Vectors of the vertices of any graph; the estimator itself is not fitted by it.

        Parameters
        ----------
        adjacency : scipy sparse matrix or array, 2-D numpy array, or Csr
            Square and symmetric, shape (n_vertices, n_vertices); what is not zero is an edge.
            Vertices without edges keep their vectors.
        start : float array, shape (n_vertices, num_factors), optional
            Vectors that both networks start from, such as those of DeepWalk; by default uniform in
            [-.05, .05), drawn by `seed`. Biases start at zero, and nothing is pre-trained.
        callback : callable, optional
            As for `fit`.
        verbose : bool, optional
            As for `fit`.

        Returns
        -------
        GraphEmbeddings

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument is not what it should be.
        MemoryError
            Before anything is computed, if the vectors would not fit.
        """
        self._validate_params()
        graph = _symmetric(adjacency)
        n, k = graph.n_rows, int(self.num_factors)
        self._check_memory(n)
        table = np.zeros((n, k + 1), np.float32)
        if start is None:
            rng = np.random.default_rng(int(self.seed))
            table[:, :-1] = rng.uniform(-0.05, 0.05, (n, k))
        else:
            table[:, :-1] = _vectors(start, (n, k))
        with verbosity(verbose), reporter("GraphGAN: embed_graph") as progress:
            data = FitData(graph, None, progress, callback)
            return self._embedded(self.get_params(deep=False), data, table)

    @classmethod
    def _embedded(cls, params: dict[str, Any], data: FitData, table: Floats) -> GraphEmbeddings:
        """By an estimator of its own: the history of this one stays what it is."""
        worker = cls(**params)
        final: list[Floats] = []

        def ended(tables: list[Floats]) -> Factors:
            final[:] = tables[0], tables[3]
            return Factors(tables[0], tables[0])

        digest = np.frombuffer(hashlib.sha256(table.data).digest(), np.uint8)
        worker._rounds(data, data.urm, lambda: table, ended, digest)
        g, d = final
        return GraphEmbeddings(
            g[:, :-1].copy(), g[:, -1].copy(), d[:, :-1].copy(), d[:, -1].copy(), worker.history_
        )

    def _fit(self, data: FitData) -> Factors:
        urm = data.urm
        n_users = urm.n_rows
        self._check_memory(n_users + urm.n_cols)

        def first() -> Floats:
            users, items = self._first_generator(data)
            table = np.concatenate([users, items])
            # In the graph users have biases too.
            table[:n_users, -1] = 0
            return table

        def model(tables: list[Floats]) -> Factors:
            users, items = tables[0][:n_users].copy(), tables[0][n_users:].copy()
            users[:, -1] = 1
            return Factors(users, items)

        return self._rounds(data, _bipartite(urm), first, model, np.zeros(0, np.uint8))

    def _rounds(
        self,
        data: FitData,
        graph: Csr,
        first: Callable[[], Floats],
        model: Callable[[list[Floats]], Factors],
        digest: NDArray[np.uint8],
    ) -> Factors:
        """Train from a table that `digest` tells from others; `model` makes factors of tables."""
        now: _core.GraphGan | None = None

        def begin() -> _core.GraphGan:
            # Before the first round, unless a checkpoint holds what came of it.
            nonlocal now
            if now is None:
                self.pretraining_ = []
                table = first()
                nothing = np.zeros_like(table)
                tables = [table, nothing, nothing] * 2
                now = self._kernel(graph, tables, np.zeros(0, np.uint8), (0, 0, 0))
            return now

        def step() -> dict[str, float]:
            d_loss, g_loss = begin().run()
            return {"d_loss": d_loss, "g_loss": g_loss}

        def state() -> dict[str, NDArray[Any]]:
            tables, removed, finished = begin().state()
            return {
                **{f"table.{n}": table for n, table in enumerate(tables)},
                "removed": removed,
                "finished": np.array(finished, np.int64),
                "digest": digest,
                "pretraining": self._pretraining_array(),
            }

        def restore(done: int, arrays: Mapping[str, NDArray[Any]]) -> None:
            nonlocal now
            if not np.array_equal(arrays["digest"], digest):
                raise ValueError("start is not what that run began with")
            tables = [arrays[f"table.{n}"] for n in range(6)]
            g_steps, d_steps, _ = arrays["finished"].tolist()
            now = self._kernel(graph, tables, arrays["removed"], (g_steps, d_steps, done))
            self._restore_pretraining(arrays)

        return self._train(data, step, lambda: model(begin().state()[0]), state, restore)

    def _kernel(
        self,
        graph: Csr,
        tables: list[Floats],
        removed: NDArray[np.uint8],
        finished: tuple[int, int, int],
    ) -> "_core.GraphGan":
        return _core.GraphGan(
            graph,
            (int(self.d_epochs), float(self.d_lr), float(self.d_reg)),
            (int(self.g_epochs), float(self.g_lr), float(self.g_reg)),
            int(self.samples),
            int(self.batch_size),
            bool(self.published_quirks),
            int(self.seed),
            tables,
            removed,
            finished,
        )

    def _check_memory(self, n_vertices: int) -> None:
        # Vectors and moments of both networks with their padding, as they are and as a copy.
        needed = 48 * n_vertices * (int(self.num_factors) + 8)
        check_memory(needed, "GraphGAN", "lower num_factors")

    def _start(self) -> BPRMF:
        return BPRMF(
            num_factors=self.num_factors,
            epochs=self.pretrain_epochs,
            learning_rate=self.pretrain_lr,
            reg=self.pretrain_reg,
            freq=self.freq,
            allow_worse=self.allow_worse,
            seed=self.seed,
        )


def _bipartite(urm: Csr) -> Csr:
    """The graph of users, and items after them."""
    X = to_scipy(urm)
    return as_csr(block_array([[None, X], [X.T, None]], format="csr"), "X")


def _symmetric(adjacency: object) -> Csr:
    """A graph, or what keeps the matrix from being one."""
    graph = as_csr(adjacency, "adjacency")
    if graph.n_rows != graph.n_cols:
        raise ValueError(
            f"adjacency must be square, not {graph.n_rows} x {graph.n_cols}: pass interactions of "
            "users with items to fit"
        )
    other = graph.transpose()
    if not (
        np.array_equal(graph.indptr, other.indptr) and np.array_equal(graph.indices, other.indices)
    ):
        raise ValueError(
            "adjacency must be symmetric, but has an entry without the one across the diagonal: "
            "pass A + A.T"
        )
    return graph


def _vectors(start: object, shape: tuple[int, int]) -> Floats:
    """Vectors to start from, in single precision."""
    given = as_array("start", start)
    if given.dtype.kind not in "fiu" or given.shape != shape:
        raise ValueError(
            f"start must be an array of numbers of shape {shape}, one row for each vertex and "
            f"num_factors columns, not {given.dtype} of {given.shape}"
        )
    with np.errstate(over="ignore"):
        table = given.astype(np.float32)
    if not np.isfinite(table).all():
        raise ValueError("start must be finite in single precision")
    return table
