"""GraphGAN against float64 rounds whose walks are made again here, its laws, and interruption."""

from collections import deque

import numpy as np
import pytest
import scipy.sparse as sp
from splitmix import Rng, bits

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base import threads
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr

K, SEED, SAMPLES, BATCH = 4, 5, 6, 8
# As in the kernel: streams of random numbers, by the name of what is drawn.
ROUND, D_EPOCH, G_EPOCH, ORDER, D_WALKS, G_WALKS = (0x960000 + n for n in range(1, 7))
SMALL = {"num_factors": 4, "epochs": 3, "pretrain_epochs": 6, "d_epochs": 2, "g_epochs": 2}
D, G = (3, 0.01, 0.02), (2, 0.02, 0.03)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Player:
    """A table in float64, and Adam with moments of all rows."""

    def __init__(self, table, rate):
        self.x, self.rate, self.t = table.astype(np.float64), rate, 0
        self.m, self.v = np.zeros_like(self.x), np.zeros_like(self.x)

    def score(self, v, w):
        return self.x[v, :-1] @ self.x[w, :-1] + self.x[w, -1]

    def step(self, gradient):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        rate = self.rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        self.x -= rate * self.m / (np.sqrt(self.v) + 1e-8)


class Reference:
    """Rounds as the formulas say: trees as dicts, gradients one by one."""

    def __init__(self, A, table, published):
        self.neighbours = [np.flatnonzero(row).tolist() for row in A]
        self.G, self.D = Player(table, G[1]), Player(table, D[1])
        self.published = published
        self.trees = [self.tree(root) for root in range(len(A))]

    def tree(self, root):
        """Father first, then the children, by vertex."""
        near, queue = {root: []}, deque([root])
        while queue:
            v = queue.popleft()
            for w in self.neighbours[v]:
                if w not in near:
                    near[v].append(w)
                    near[w] = [v]
                    queue.append(w)
        return near

    def softmax(self, v, choices):
        e = np.exp([self.G.score(v, w) for w in choices])
        return e / e.sum()

    def walk(self, root, rng, for_d):
        """Vertices, and the choices at each of them; None if there is no way on."""
        tree, path, steps, before, v = self.trees[root], [root], [], None, root
        while True:
            choices = tree[v]
            if for_d and self.published:
                if choices == [root]:
                    return None
                if v != root and root in choices:
                    choices.remove(root)
            elif for_d:
                if v == root:
                    choices = [w for w in choices if len(tree[w]) > 1]
                else:
                    choices = [w for w in choices if w != root]
            if not choices:
                return None
            p = self.softmax(v, choices)
            nth = int(np.searchsorted(np.cumsum(p), rng.unit() * p.sum(), side="right"))
            steps.append((v, choices, nth))
            if choices[nth] == before:
                return path, steps
            before, v = v, choices[nth]
            path.append(v)

    def walks(self, root, rng, n, *, for_d):
        found = []
        for _ in range(n):
            walk = self.walk(root, rng, for_d)
            if walk is None:
                return []
            found.append(walk)
        return found

    def round(self, number):
        key = bits(SEED, ROUND, number)
        self.d_pass(key)
        (self.pairs_pass if self.published else self.softmax_pass)(key)

    def d_pass(self, key):
        of_walks, pairs = bits(key, D_WALKS, 0), []
        for root, own in enumerate(self.neighbours):
            drawn = self.walks(root, Rng(of_walks, 0, root), len(own), for_d=True)
            if drawn:
                pairs += [(root, w, 1) for w in own]
                pairs += [(root, path[-1], 0) for path, _ in drawn]
        assert pairs

        def gradient(pair):
            v, w, label = pair
            return sigmoid(self.D.score(v, w)) - label

        self.epochs(self.D, D, pairs, bits(key, D_EPOCH, 0), gradient, mean=False, bias=True)

    def reward(self, v, w):
        return np.log1p(np.exp(np.clip(self.D.score(v, w), -10, 10)))

    def pairs_pass(self, key):
        of_walks, pairs = bits(key, G_WALKS, 0), []
        for root in range(len(self.neighbours)):
            for path, _ in self.walks(root, Rng(of_walks, 0, root), SAMPLES, for_d=False):
                for i, v in enumerate(path):
                    window = range(max(i - 2, 0), min(i + 3, len(path)))
                    pairs += [(v, path[j], self.reward(v, path[j])) for j in window if i != j]

        def gradient(pair):
            v, w, reward = pair
            p = sigmoid(self.G.score(v, w))
            return 0 if p < 1e-5 else -reward * (1 - p)

        self.epochs(self.G, G, pairs, bits(key, G_EPOCH, 0), gradient, mean=True, bias=False)

    def epochs(self, player, settings, pairs, key, gradient, *, mean, bias):
        epochs, _, reg = settings
        unit = BATCH if self.published else 1
        units = [pairs[n : n + unit] for n in range(0, len(pairs), unit)]
        for epoch in range(epochs):
            order = Rng(key, ORDER, epoch).shuffled(range(len(units)))
            for first in range(0, len(order), BATCH // unit):
                batch = [p for n in order[first : first + BATCH // unit] for p in units[n]]
                total = np.zeros_like(player.x)
                for pair in batch:
                    v, w, _ = pair
                    g = gradient(pair) / (len(batch) if mean else 1)
                    total[v, :-1] += g * player.x[w, :-1] + reg * player.x[v, :-1]
                    total[w, :-1] += g * player.x[v, :-1] + reg * player.x[w, :-1]
                    total[w, -1] += g + (reg * player.x[w, -1] if bias else 0)
                player.step(total)

    def softmax_pass(self, key):
        epochs, _, reg = G
        for epoch in range(epochs):
            of_epoch = bits(key, G_EPOCH, epoch)
            order = Rng(of_epoch, ORDER, 0).shuffled(range(len(self.neighbours)))
            for first in range(0, len(order), BATCH):
                drawn = [
                    walk
                    for root in order[first : first + BATCH]
                    for walk in self.walks(
                        root, Rng(bits(of_epoch, G_WALKS, 0), 0, root), SAMPLES, for_d=False
                    )
                ]
                if not drawn:
                    continue
                total, touched = np.zeros_like(self.G.x), set()
                for path, steps in drawn:
                    reward = self.reward(path[0], path[-1])
                    for v, choices, nth in steps:
                        # Of ln p(chosen | v), by the scores of all choices.
                        of_scores = -self.softmax(v, choices)
                        of_scores[nth] += 1
                        touched |= {v, *choices}
                        for w, g in zip(choices, -reward / len(drawn) * of_scores, strict=True):
                            total[v, :-1] += g * self.G.x[w, :-1]
                            total[w, :-1] += g * self.G.x[v, :-1]
                            total[w, -1] += g
                rows = sorted(touched)
                total[rows, :-1] += reg * self.G.x[rows, :-1]
                self.G.step(total)


@pytest.fixture
def graph():
    """Of 18 vertices: a loop, a leaf of a hub, a pair by itself, and one vertex without edges."""
    rng = np.random.default_rng(4)
    A = np.triu(rng.random((18, 18)) < 0.18, 1)
    A[:, 14:] = False
    A[0, 1:9], A[0, 14], A[15, 16], A[3, 3] = True, True, True, True
    return (A | A.T).astype(np.float32)


@pytest.fixture
def table(graph):
    return np.random.default_rng(1).normal(0, 0.6, (len(graph), K + 1)).astype(np.float32)


def kernel(graph, table, published):
    nothing = np.zeros_like(table)
    tables = [table, nothing, nothing] * 2
    removed = np.zeros(0, np.uint8)
    return _core.GraphGan(
        as_csr(graph), D, G, SAMPLES, BATCH, published, SEED, tables, removed, (0, 0, 0)
    )


@pytest.mark.parametrize("published", [False, True], ids=["softmax", "released"])
def test_rounds_are_those_of_the_definition(graph, table, published):
    model, reference = kernel(graph, table, published), Reference(graph, table, published)
    for number in range(2):
        model.run()
        reference.round(number)
    tables, removed, finished = model.state()
    for found, player in ((tables[:3], reference.G), (tables[3:], reference.D)):
        for a, b in zip(found, (player.x, player.m, player.v), strict=True):
            np.testing.assert_allclose(a, b, atol=3e-5)
        assert np.abs(found[0] - table).max() > 0.01
    assert finished == [reference.G.t, reference.D.t, 2]
    without = [
        (root, v)
        for root, tree in enumerate(reference.trees)
        for v in graph[root].nonzero()[0]
        if v != root and tree[v][:1] != [root]
    ]
    where = np.argwhere(graph)[removed == 1]
    assert [tuple(pair) for pair in where] == without
    assert bool(without) == published


@pytest.mark.parametrize("density", [0.02, 0.05, 0.1, 0.3, 0.8])
def test_walks_in_trees_that_are_not_expanded_are_those_in_whole_ones(density):
    rng = np.random.default_rng(int(100 * density))
    n = 60
    A = np.triu(rng.random((n, n)) < density, 1)
    A[:30, 30:] |= rng.random((30, 30)) < density  # nearly bipartite
    A = (A | A.T).astype(np.float32)
    vectors = rng.normal(0, 1, (n, K + 1)).astype(np.float32)
    reference = Reference(A, vectors, published=False)
    key = bits(bits(SEED, ROUND, 0), G_WALKS, 0)
    expected = [
        (root, path[-1])
        for root in range(n)
        for path, _ in reference.walks(root, Rng(key, 0, root), SAMPLES, for_d=False)
    ]
    assert [tuple(pair) for pair in kernel(A, vectors, published=False).draws()] == expected


def test_losses_are_those_before_the_steps(graph, table):
    nothing = np.zeros_like(table)
    model = _core.GraphGan(
        as_csr(graph), (1, 1e-12, 0.0), (1, 1e-12, 0.0), 400, 10**6, False, SEED,
        [table, nothing, nothing] * 2, np.zeros(0, np.uint8), (0, 0, 0),
    )  # fmt: skip
    reference = Reference(graph, table, published=False)
    expected, mass = 0.0, []
    roots = [r for r, own in enumerate(reference.neighbours) if set(own) - {r}]
    for root in roots:
        # The graph softmax, vertex by vertex.
        tree, share = reference.trees[root], {root: 1.0}
        total = 0.0
        for v in tree:  # in breadth-first order
            p = dict(zip(tree[v], reference.softmax(v, tree[v]), strict=True))
            fathers = tree[v][:1] if v != root else []
            for w in set(tree[v]) - set(fathers):
                share[w] = share[v] * p[w]
            for father in fathers:
                expected += share[v] * p[father] * reference.reward(root, v) / len(roots)
                total += share[v] * p[father]
        mass.append(total)
    np.testing.assert_allclose(mass, 1)
    _, g_loss = model.run()
    assert g_loss == pytest.approx(-expected, rel=0.02)


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch(demo_splits):
    train, held_out = demo_splits.train_small, demo_splits.early_stop
    params = {**SMALL, "epochs": 6, "freq": 1, "allow_worse": 2, "g_lr": 0.01}
    model = gf.GraphGAN(**params).fit(train, validation=held_out)
    values = [row["validation"] for row in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmax(values))
    kept = gf.evaluate(model, train, held_out, cutoffs=(5,))["map", 5]
    assert kept == pytest.approx(max(values), rel=1e-6)


def test_without_epochs_it_is_its_pre_training(toy_urm):
    params = {**SMALL, "epochs": 1, "d_epochs": 0, "g_epochs": 0}
    model = gf.GraphGAN(**params).fit(toy_urm)
    start = gf.BPRMF(num_factors=4, epochs=6).fit(toy_urm)
    assert np.array_equal(model.item_factors_, start.item_factors_)
    assert np.array_equal(model.user_factors_, start.user_factors_)
    assert [row["epoch"] for row in model.pretraining_] == [1, 2, 3, 4, 5, 6]


class KilledError(Exception):
    pass


def kill(epoch, _values):
    if epoch == 3:
        raise KilledError


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [False, True])
def test_a_killed_fit_goes_on_to_the_same_bits(quirks, demo_splits, tmp_path):
    data = demo_splits.train_small, demo_splits.early_stop
    params = {**SMALL, "epochs": 5, "freq": 2, "published_quirks": quirks}
    quiet = gf.GraphGAN(**params).fit(data[0], validation=data[1])
    path = tmp_path / "state"
    params |= {"checkpoint_every": 2, "checkpoint_path": str(path)}
    with pytest.raises(KilledError):
        gf.GraphGAN(**params).fit(data[0], validation=data[1], callback=kill)
    state = path.read_bytes()
    again = gf.GraphGAN(**params).fit(data[0], validation=data[1])
    assert not path.exists()
    assert np.array_equal(again.user_factors_, quiet.user_factors_)
    assert np.array_equal(again.item_factors_, quiet.item_factors_)
    assert again.best_epoch_ == quiet.best_epoch_
    path.write_bytes(state[:-9])
    with pytest.raises(DataError, match="is damaged or cut short"):
        gf.GraphGAN(**params).fit(data[0], validation=data[1])


def test_a_killed_embedding_goes_on_and_knows_its_start(graph, table, tmp_path):
    params = {**SMALL, "epochs": 5}
    start = table[:, :-1]
    quiet = gf.GraphGAN(**params).embed_graph(graph, start)
    params |= {"checkpoint_every": 1, "checkpoint_path": str(tmp_path / "state")}
    with pytest.raises(KilledError):
        gf.GraphGAN(**params).embed_graph(graph, start, callback=kill)
    with pytest.raises(DataError, match="start is not what that run began with"):
        gf.GraphGAN(**params).embed_graph(graph, 2 * start)
    again = gf.GraphGAN(**params).embed_graph(graph, start)
    for name in ("generator", "generator_bias", "discriminator", "discriminator_bias"):
        assert np.array_equal(getattr(again, name), getattr(quiet, name))
        assert np.abs(getattr(again, name)).max() > 0
    assert len(again.history) == 5


@pytest.mark.slow
@pytest.mark.usefixtures("threads_restored")
@pytest.mark.parametrize("quirks", [False, True])
def test_thread_count_changes_nothing(quirks, demo_splits):
    fits = []
    for n in (1, 2):
        threads.set_num_threads(n)
        model = gf.GraphGAN(**SMALL, published_quirks=quirks, g_lr=0.01)
        fits.append(model.fit(demo_splits.train).item_factors_)
    assert np.array_equal(*fits)


def test_a_saved_model_gives_the_same_lists_to_new_users(toy_urm, tmp_path):
    model = gf.GraphGAN(**SMALL).fit(toy_urm)
    model.save(tmp_path / "m.safetensors")
    loaded = gf.load(tmp_path / "m.safetensors")
    assert loaded.pretraining_ == model.pretraining_
    new = toy_urm[:6]
    assert np.array_equal(loaded.fold_in(new), model.fold_in(new))


def test_embedding_leaves_the_estimator_as_it_was(graph):
    model = gf.GraphGAN(**SMALL)
    model.embed_graph(graph)
    assert not model.__sklearn_is_fitted__()
    assert not hasattr(model, "history_")
    # Who has no edge stays, and edges with any values are edges.
    start = np.ones((18, 4))
    found = model.embed_graph(sp.csr_array(3 * graph), start)
    assert (found.generator[17] == 1).all()
    assert not (found.generator[0] == 1).any()
    assert np.array_equal(found.generator, model.embed_graph(graph, start).generator)


def test_one_user_is_enough_and_nothing_to_rank_is_said():
    lists = gf.GraphGAN(**SMALL).fit(np.array([[1.0, 0, 1]])).recommend(0, n=1).items
    assert lists.tolist() == [[1]]
    for X in (np.ones((3, 2)), np.ones((3, 1))):
        with pytest.raises(ValueError, match="no user who has some items and lacks others"):
            gf.GraphGAN(**SMALL).fit(X)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((np.ones((2, 3)),), r"adjacency must be square, not 2 x 3: pass interactions .* to fit"),
        ((np.eye(3, k=1),), r"adjacency must be symmetric.*pass A \+ A\.T"),
        ((np.eye(3),), "no edge between two vertices"),
        ((1 - np.eye(3), np.ones((3, 5))), r"start must be .* of shape \(3, 4\)"),
        ((1 - np.eye(3), np.full((3, 4), np.inf)), "start must be finite"),
        ((1 - np.eye(3), np.full((3, 4), "a")), "start must be an array of numbers"),
    ],
)
def test_what_is_no_graph_is_named(args, message):
    with pytest.raises(ValueError, match=message):
        gf.GraphGAN(**SMALL).embed_graph(*args)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"samples": 0}, "samples must be at least 1"),
        ({"g_lr": 0}, "g_lr must be greater than 0"),
        ({"d_reg": -1}, "d_reg must be at least 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_bad_parameters_are_named(toy_urm, params, message):
    with pytest.raises(ValueError, match=message):
        gf.GraphGAN(**params).fit(toy_urm)


def test_divergence_is_an_error(toy_urm):
    params = {**SMALL, "d_lr": 1e30, "g_lr": 1e30}
    with pytest.raises(ValueError, match=r"lower (d_lr or g_lr|the learning rate)"):
        gf.GraphGAN(**params).fit(toy_urm)
