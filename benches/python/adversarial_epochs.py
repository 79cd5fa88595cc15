"""Epochs of BPR-MF, DNS, IRGAN's generator and CDAE, beside straight ports to numpy and torch.

    python benches/python/adversarial_epochs.py MATRIX.npz

MATRIX is a scipy sparse matrix of interactions. Ports do the same steps as the formulas of
docs/algorithms.md are written, with whole arrays where these allow; what goes step by step is timed
on a part of the epoch and scaled up. All on one thread, in one process, the median of three.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.hardware import processor
from ganmf_fast.base.urm import as_csr

K, BATCH, DNS = 64, 512, 5


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median time of a call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


class Ports:
    """Straight ports of one epoch of each model."""

    def __init__(self, X: sp.csr_array) -> None:
        self.X = X
        self.rng = np.random.default_rng(0)
        self.users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        self.items = X.indices
        self.profiles = [X.indices[a:b] for a, b in zip(X.indptr, X.indptr[1:], strict=False)]
        self.seen = X.toarray() > 0

    def outside(self, users: np.ndarray, draws: int) -> np.ndarray:
        """Items outside the profiles, drawn until none is inside."""
        found = self.rng.integers(self.X.shape[1], size=(len(users), draws))
        while (bad := self.seen[users[:, None], found]).any():
            found[bad] = self.rng.integers(self.X.shape[1], size=int(bad.sum()))
        return found

    def bpr_torch(self, draws: int) -> None:
        """An epoch in batches of 512 by autograd, with sparse gradients and AdaGrad."""
        n_users, n_items = self.X.shape
        P = torch.nn.Embedding(n_users, K, sparse=True)
        Q = torch.nn.Embedding(n_items, K + 1, sparse=True)
        optimiser = torch.optim.Adagrad([*P.parameters(), *Q.parameters()], lr=0.05)
        order = self.rng.permutation(len(self.users))
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            candidates = torch.from_numpy(self.outside(self.users[part], draws))
            p = P(torch.from_numpy(self.users[part]))
            with torch.no_grad():
                near = Q(candidates)
                scores = (near[..., :-1] * p[:, None]).sum(-1) + near[..., -1]
            j = candidates.gather(1, scores.argmax(1, keepdim=True))[:, 0]
            qi, qj = Q(torch.from_numpy(self.items[part].astype(np.int64))), Q(j)
            margin = (p * (qi - qj)[:, :-1]).sum(1) + qi[:, -1] - qj[:, -1]
            loss = torch.nn.functional.softplus(-margin).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def bpr_numpy(self, draws: int, part: int = 3000) -> None:
        """Triples one by one."""
        n_users, n_items = self.X.shape
        P = self.rng.normal(0, 0.05, (n_users, K)).astype(np.float32)
        Q = self.rng.normal(0, 0.05, (n_items, K)).astype(np.float32)
        b = np.zeros(n_items, np.float32)
        for at in self.rng.permutation(len(self.users))[:part]:
            u, i = self.users[at], self.items[at]
            candidates = self.outside(np.array([u]), draws)[0]
            j = candidates[np.argmax(Q[candidates] @ P[u] + b[candidates])]
            p, g = P[u].copy(), 1 / (1 + np.exp(P[u] @ (Q[i] - Q[j]) + b[i] - b[j]))
            P[u] += 0.05 * (g * (Q[i] - Q[j]) - 0.01 * p)
            Q[i] += 0.05 * (g * p - 0.01 * Q[i])
            Q[j] += 0.05 * (-g * p - 0.01 * Q[j])
            b[i] += 0.05 * (g - 0.01 * b[i])
            b[j] += 0.05 * (-g - 0.01 * b[j])

    def irgan_numpy(self, k: int = 5) -> None:
        """The generator's steps, whole rows of items at once."""
        n_users, n_items = self.X.shape
        P, dP = (self.rng.normal(0, 0.3, (n_users, k)).astype(np.float32) for _ in range(2))
        Q, dQ = (self.rng.normal(0, 0.3, (n_items, k)).astype(np.float32) for _ in range(2))
        b, db = np.zeros(n_items, np.float32), np.zeros(n_items, np.float32)
        for u, profile in enumerate(self.profiles):
            if not len(profile):
                continue
            scores = Q @ P[u] + b
            p = np.exp(scores - scores.max())
            p /= p.sum()
            mixed = 0.8 * p
            mixed[profile] += 0.2 / len(profile)
            n = 2 * len(profile)
            drawn = self.rng.choice(n_items, n, p=mixed / mixed.sum(dtype=np.float64))
            reward = 2 / (1 + np.exp(-(dQ[drawn] @ dP[u] + db[drawn]))) - 1
            reward = reward * p[drawn] / mixed[drawn] / n
            g = -reward.sum() * p
            np.add.at(g, drawn, reward)
            step = g @ Q
            Q += 1e-3 * np.outer(g, P[u])
            b += 1e-3 * g
            P[u] += 1e-3 * step

    def cdae_numpy(self, part: int = 60, k: int = 50) -> float:
        """The first users; the fraction of the epoch that they are."""
        n_users, n_items = self.X.shape
        W, V, U = (self.rng.normal(0, 0.1, (n, k)) for n in (n_items, n_items, n_users))
        a = {name: np.full(t.shape, 1e-4) for name, t in (("W", W), ("V", V), ("U", U))}
        b, c, ab, ac = np.zeros(k), np.zeros(n_items), np.full(k, 1e-4), np.full(n_items, 1e-4)

        def move(table, squares, row, gradient):
            squares[row] += gradient**2
            table[row] -= 0.1 * gradient / (1 + np.sqrt(squares[row]))

        for u in range(part):
            profile = self.profiles[u]
            kept = profile[self.rng.random(len(profile)) >= 0.2]
            z = 1 / (1 + np.exp(-(W[kept].sum(0) / 0.8 + U[u] + b)))
            others = self.outside(np.full(1, u), 5 * len(profile))[0]
            of_z = np.zeros(k)
            for label, targets in ((1, profile), (0, others)):
                for i in targets:
                    g = 1 / (1 + np.exp(-(V[i] @ z + c[i]))) - label
                    of_z += g * V[i]
                    move(V, a["V"], i, g * z + 0.01 * V[i])
                    move(c, ac, i, g + 0.01 * c[i])
            of_z *= z * (1 - z)
            move(b, ab, slice(None), of_z + 0.01 * b)
            move(U, a["U"], u, of_z + 0.01 * U[u])
            for i in kept:
                move(W, a["W"], i, of_z / 0.8 + 0.01 * W[i])
        return sum(map(len, self.profiles[:part])) / len(self.users)


def tables(X: sp.csr_array, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First factors."""
    rng = np.random.default_rng(seed)
    P, Q = (rng.normal(0, 0.05, (n, k + 1)).astype(np.float32) for n in X.shape)
    P[:, -1] = 1
    return P, Q


def bpr(X: sp.csr_array, rule: str, draws: int, batch: int) -> Callable[[], object]:
    """An epoch of ours."""
    how = _core.BprRule(rule, 0.05, 0.01, draws, 0, batch)
    return _core.BprMf(as_csr(X), how, *tables(X, K, 0)).run


def generator(X: sp.csr_array) -> Callable[[], object]:
    """An epoch of IRGAN's generator, the discriminator standing still."""
    d, g = (0, 1e-3, 0.2, 16, 0.2, False, False, False), (1, 1e-3, 0.0, 0.2)
    start = (*tables(X, 5, 0), *tables(X, 5, 1))
    return _core.AdversarialMf(as_csr(X), d, g, False, 0, start, np.zeros(0, np.int32), 0).run


def cdae(X: sp.csr_array, k: int = 50) -> Callable[[], object]:
    """An epoch of ours, user by user as published."""
    rng = np.random.default_rng(0)
    rows = (X.shape[1], 1, X.shape[1], X.shape[0])
    weights = [rng.normal(0, 0.1, (n, k + 1)).astype(np.float32) for n in rows]
    for table in weights:
        table[:, -1] = 0
    how = ("sigmoid", "logistic", 0.2, True, 5, 0.01, 0.1, 1.0, False, True, 1, 0)
    return _core.Cdae(as_csr(X), *how, weights, None, 0).run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("matrix", type=Path)
    X = sp.csr_array(sp.load_npz(parser.parse_args().matrix).astype(np.float32))
    X = X[np.diff(X.indptr) > 0]
    gf.set_num_threads(1)
    ports = Ports(X)
    whole = X.nnz / 3000
    share = ports.cdae_numpy(1) and ports.cdae_numpy()
    rows = [
        ("BPR-MF, batches of 512, AdaGrad", "torch", bpr(X, "adagrad", 1, BATCH),
         lambda: ports.bpr_torch(1), 1.0),
        ("DNS of 5, batches of 512, AdaGrad", "torch", bpr(X, "adagrad", DNS, BATCH),
         lambda: ports.bpr_torch(DNS), 1.0),
        ("BPR-MF, one by one, SGD", "numpy", bpr(X, "sgd", 1, 1),
         lambda: ports.bpr_numpy(1), whole),
        ("DNS of 5, one by one, SGD", "numpy", bpr(X, "sgd", DNS, 1),
         lambda: ports.bpr_numpy(DNS), whole),
        ("IRGAN's generator, K 5", "numpy", generator(X), ports.irgan_numpy, 1.0),
        ("CDAE, user by user, K 50", "numpy", cdae(X), ports.cdae_numpy, 1 / share),
    ]  # fmt: skip
    print(f"{X.shape[0]} x {X.shape[1]}, {X.nnz} interactions; one thread of an {processor()}\n")
    print("| epoch | port | port, s | ours, s | times |\n| --- | --- | --- | --- | --- |")
    for name, port, ours, theirs, scale in rows:
        a, b = scale * seconds(theirs), seconds(ours)
        print(f"| {name} | {port} | {a:.3f} | {b:.4f} | {a / b:.0f} |", flush=True)


if __name__ == "__main__":
    main()
