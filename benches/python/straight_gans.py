"""Yardsticks: the GANs ported straight to PyTorch, dense, with masks and draws by numpy.

What a person gets who rewrites the published TensorFlow code line by line: dense profiles, the
masks of an epoch drawn user by user with `numpy.random.choice`, users x items arrays of chances.
One call of `epoch` is one epoch with the settings of a fitted model's parameters.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import logsigmoid

ACTIVATIONS = {"linear": nn.Identity, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}


def perceptron(n_in, nodes, layers, n_out, activation):
    parts = []
    for layer in range(layers):
        parts += [nn.Linear(n_in if layer == 0 else nodes, nodes), ACTIVATIONS[activation]()]
    return nn.Sequential(*parts, nn.Linear(nodes, n_out))


def l2(network):
    return sum((p**2).sum() for p in network.parameters()) / 2


def unobserved(X):
    return [np.flatnonzero(X[[u]].toarray()[0] == 0) for u in range(X.shape[0])]


class StraightCFGAN:
    def __init__(self, X, p):
        self.X, self.p = X, p
        self.n_users, n_items = X.shape
        self.G = perceptron(n_items, p["g_nodes"], p["g_layers"], n_items, p["g_hidden_act"])
        self.D = perceptron(2 * n_items, p["d_nodes"], p["d_layers"], 1, p["d_hidden_act"])
        self.d_adam = torch.optim.Adam(self.D.parameters(), lr=p["d_lr"])
        self.g_adam = torch.optim.Adam(self.G.parameters(), lr=p["g_lr"])
        self.rng = np.random.default_rng(0)
        self.unobserved = unobserved(X)

    def batches(self, size, pm, zr):
        for start in range(0, self.n_users, size):
            users = range(start, min(start + size, self.n_users))
            x = self.X[start : start + size].toarray()
            e, zeros = x.copy(), np.zeros_like(x)
            for row, user in enumerate(users):
                if self.p["scheme"] != "ZR":
                    e[row, pm[user]] = 1
                if self.p["scheme"] != "PM":
                    zeros[row, zr[user]] = 1
            yield torch.from_numpy(x), torch.from_numpy(e), torch.from_numpy(zeros)

    def epoch(self):
        p, choice = self.p, self.rng.choice
        pm, zr = (
            [choice(items, int(len(items) * p["zr_ratio"]), replace=False) for items in sets]
            for sets in (
                self.unobserved if p["scheme"] != "ZR" else [],
                self.unobserved if p["scheme"] != "PM" else [],
            )
        )
        for _ in range(p["d_steps"]):
            for x, e, _ in self.batches(p["d_batch_size"], pm, zr):
                with torch.no_grad():
                    made = self.G(x) * e
                real, fake = self.D(torch.cat([x, x], 1)), self.D(torch.cat([x, made], 1))
                loss = cross_entropy(real, torch.ones_like(real))
                loss = loss + cross_entropy(fake, torch.zeros_like(fake)) + p["d_reg"] * l2(self.D)
                self.d_adam.zero_grad()
                loss.backward()
                self.d_adam.step()
        for _ in range(p["g_steps"]):
            for x, e, zeros in self.batches(p["g_batch_size"], pm, zr):
                made = self.G(x)
                fake = self.D(torch.cat([x, made * e], 1))
                loss = cross_entropy(fake, torch.ones_like(fake)) + p["g_reg"] * l2(self.G)
                loss = loss + p["zr_coefficient"] * (made**2 * zeros).sum(1).mean()
                self.g_adam.zero_grad()
                loss.backward()
                self.g_adam.step()


class StraightCAAE:
    def __init__(self, X, p):
        self.p = p
        self.x = X.toarray()
        self.users, self.items = X.nonzero()
        self.n_users, self.n_items = X.shape
        self.unobserved = unobserved(X)
        self.draws = 2 * int(np.median(np.diff(X.indptr)))
        self.G, self.Gpr = (
            nn.Sequential(
                perceptron(self.n_items, p["g_units"], p["g_layers"], self.n_items, "sigmoid"),
                nn.Sigmoid(),
            )
            for _ in range(2)
        )
        self.P, self.Q = (nn.Embedding(n, p["num_factors"]) for n in (self.n_users, self.n_items))
        self.b = nn.Embedding(self.n_items, 1)
        discriminator = [*self.P.parameters(), *self.Q.parameters(), *self.b.parameters()]
        self.sgd = [
            torch.optim.SGD(parameters, lr=p["lr"])
            for parameters in (discriminator, self.G.parameters(), self.Gpr.parameters())
        ]
        self.rng = np.random.default_rng(0)

    def cdf(self, network):
        with torch.no_grad():
            chances = np.exp(network(torch.from_numpy(self.x)).numpy())
        chances /= chances.sum(axis=1, keepdims=True)
        return chances, np.cumsum(chances, axis=1)

    def draw(self, cdf, rows):
        samples = self.rng.random(len(rows), dtype=np.float32)
        places = [np.searchsorted(cdf[r], s) for r, s in zip(rows, samples, strict=True)]
        return np.minimum(places, self.n_items - 1)

    def step(self, sgd, loss):
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    def epoch(self):
        p = self.p
        order = self.rng.permutation(len(self.users))
        users, items = self.users[order], self.items[order]
        _, g_cdf = self.cdf(self.G)
        gpr_chances, gpr_cdf = self.cdf(self.Gpr)
        for _ in range(p["d_steps"]):
            drawn = [self.draw(cdf, users) for cdf in (g_cdf, gpr_cdf)]
            for start in range(0, len(users), p["d_bsize"]):
                part = slice(start, start + p["d_bsize"])
                u, i = (torch.from_numpy(a[part].astype(np.int64)) for a in (users, items))
                for numbers in drawn:
                    j = torch.from_numpy(numbers[part])
                    pu, qi, qj, bi, bj = self.P(u), self.Q(i), self.Q(j), self.b(i), self.b(j)
                    logits = (pu * (qi - qj)).sum(1) + (bi - bj)[:, 0]
                    penalty = sum((t**2).sum() for t in (pu, qi, qj, bi, bj)) / 2
                    self.step(self.sgd[0], -logsigmoid(logits).mean() + p["beta"] * penalty)
        for _ in range(p["g_steps"]):
            some = self.rng.choice(self.n_users, p["m_batch"], replace=False)
            x = torch.from_numpy(self.x[some])
            e = self.x[some].copy()
            for row, user in enumerate(some):
                left = self.unobserved[user]
                chances = gpr_chances[user, left].astype(np.float64)
                size = int(len(left) * p["S"])
                e[row, self.rng.choice(left, size, replace=False, p=chances / chances.sum())] = 1
            made, sought = self.sought(self.G, x, some, 1)
            error = (((made - x) * torch.from_numpy(e)) ** 2).sum()
            loss = p["lmbda"] * sought + (1 - p["lmbda"]) * error + p["beta"] * l2(self.G)
            self.step(self.sgd[1], loss)
        for _ in range(p["gpr_steps"]):
            some = self.rng.choice(self.n_users, p["m_batch"])
            _, sought = self.sought(self.Gpr, torch.from_numpy(self.x[some]), some, -1)
            self.step(self.sgd[2], sought + p["beta"] * l2(self.Gpr))

    def sought(self, network, x, users, sign):
        made = network(x)
        chances = made.detach().exp().numpy()
        cdf = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
        rows = np.repeat(np.arange(len(users)), self.draws)
        drawn = torch.from_numpy(self.draw(cdf, rows).reshape(len(users), -1))
        with torch.no_grad():
            pu = self.P(torch.from_numpy(users))[:, None]
            scores = (pu * self.Q(drawn)).sum(2) + self.b(drawn)[:, :, 0]
            reward = logsigmoid(sign * (scores - 1))
        chance = torch.softmax(made, 1).gather(1, drawn)
        return made, -(torch.log(chance) * reward).mean()


class StraightGANMF:
    """GANMF as its authors' code reads in PyTorch: dense profiles, automatic differentiation.

    Starts from the weights of `generator` and `discriminator`, two state dicts of ours, so that
    the losses can be compared, and takes the users of each batch and the state of the random
    numbers from its caller for the same reason. Works where these weights are. Dropout, emphasis
    and matching as documented: a dense mask, dense weights, dense reconstructions.
    """

    def __init__(self, X, p, generator, discriminator):
        self.X, self.p = X, p

        def parameter(tensor):
            return nn.Parameter(tensor.detach().clone())

        self.P = parameter(generator["user_factors"])
        self.Q = parameter(generator["item_factors"])
        decoder = discriminator["decoder"]
        self.We, self.be = (parameter(discriminator[k]) for k in ("encoder", "encoder_bias"))
        self.Wd, self.bd = parameter(decoder[:, :-1].T.contiguous()), parameter(decoder[:, -1])
        self.d = [self.We, self.be, self.Wd, self.bd]
        self.g = [self.P, self.Q]
        self.d_adam = torch.optim.Adam(self.d, lr=p["d_lr"])
        self.g_adam = torch.optim.Adam(self.g, lr=p["g_lr"])
        self.n_steps = {self.d_adam: 0, self.g_adam: 0}
        self.rng = torch.Generator()
        self.matching = p.get("matching", "features")

    def energy(self, x):
        hidden = x @ self.We + self.be
        made = hidden @ self.Wd + self.bd
        return ((made - x) ** 2).mean(), {"features": hidden, "reconstruction": x, "decoder": made}

    def emphasised(self, x):
        drop, b = self.p["d_dropout"], self.p["d_emphasis"]
        kept = torch.ones_like(x)
        nonzeros = x.nonzero(as_tuple=True)
        drawn = torch.rand(len(nonzeros[0]), generator=self.rng).to(x.device)
        kept[nonzeros] = (drawn >= drop).to(x.dtype)
        made = (x * kept / (1 - drop)) @ self.We + self.be
        mean = drop + b * (1 - drop)
        weights = torch.where(kept == 0, 1 / mean, b / mean)
        weights = torch.where(x == 0, 1.0, weights)
        return (weights * (made @ self.Wd + self.bd - x) ** 2).mean()

    def step(self, adam, loss):
        adam.zero_grad()
        loss.backward()
        self.n_steps[adam] += 1
        # TensorFlow adds epsilon before the bias is corrected, torch after it.
        for group in adam.param_groups:
            group["eps"] = 1e-8 / (1 - 0.999 ** self.n_steps[adam]) ** 0.5
        adam.step()
        return loss.item()

    def epoch(self, batches):
        """Losses of all batches, those of D first."""
        p = self.p
        losses = []
        for users in batches:
            x = torch.from_numpy(self.X[users].toarray()).to(self.P.device)
            with torch.no_grad():
                made = self.P[users] @ self.Q.T
            real_energy = self.emphasised(x) if "d_dropout" in p else self.energy(x)[0]
            made_energy = self.energy(made)[0]
            loss = real_energy + torch.relu(p["m"] * real_energy - made_energy)
            loss = loss + p["d_reg"] * sum((w**2).sum() for w in self.d) / 2
            losses.append(self.step(self.d_adam, loss))
        for users in batches:
            x = torch.from_numpy(self.X[users].toarray()).to(self.P.device)
            with torch.no_grad():
                target = x @ self.We + self.be
                if self.matching != "features":
                    target = target @ self.Wd + self.bd
            energy, made = self.energy(self.P[users] @ self.Q.T)
            a = p["recon_coefficient"]
            loss = (1 - a) * energy + a * ((target - made[self.matching]) ** 2).mean()
            losses.append(self.step(self.g_adam, loss))
        return losses
