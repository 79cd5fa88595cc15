"""Adam as TensorFlow 1 computes it.

Objective: ``p -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)``, with dense moments: every
row changes at every step, whether or not it has a gradient.
Source: Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR'15), the form before
section 2.1's end, which TensorFlow 1 uses and the published figures come from.
Deviation: none. torch adds its epsilon to ``sqrt(v / (1 - b2^t))`` instead; its fused kernel gives
the form above when the epsilon of step t is ``eps / sqrt(1 - b2^t)``.
Cost: two moments for every parameter, one pass over memory for every step.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Moments:
    """Means of the gradients and of their squares for some parameters, and the steps taken."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> None:
        self._parameters = list(parameters)
        self._lr = lr
        self._steps = 0
        self._means, self._squares = (
            [torch.zeros_like(p.detach()) for p in self._parameters] for _ in range(2)
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Steps taken, and the moments of each parameter by its place."""
        found = {}
        for place, moments in enumerate(zip(self._means, self._squares, strict=True)):
            found[f"{place}.step"] = torch.tensor(float(self._steps))
            found[f"{place}.exp_avg"], found[f"{place}.exp_avg_sq"] = moments
        return found

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state_dict` returned, of this class or another one.

        What `state` lacks is as before the first step.

        Raises
        ------
        ValueError
            If the number of steps is none.
        """
        steps = float(state.get("0.step", 0))
        if not 0 <= steps < 2**53:
            raise ValueError(f"{steps:g} is no number of steps")
        for place, moments in enumerate(zip(self._means, self._squares, strict=True)):
            # In place: a captured CUDA graph has their addresses.
            for name, moment in zip(("exp_avg", "exp_avg_sq"), moments, strict=True):
                moment.copy_(state.get(f"{place}.{name}", torch.zeros(())))
        self._steps = int(steps)


class TensorFlowAdam(Moments):
    """Adam over `parameters`, whose ``grad`` must be set before each :meth:`step`.

    torch's kernel without its optimiser, whose constructor loads a compiler, for seconds.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr)
        # The kernel counts too, on its device.
        self._counters = [p.new_zeros((), dtype=torch.float32) for p in self._means]

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Moments``."""
        super().load_state_dict(state)
        for counter in self._counters:
            counter.fill_(self._steps)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter once."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if len(gradients) < len(self._parameters):
            raise RuntimeError("a parameter has no gradient")
        self._steps += 1
        adam(
            [p.detach() for p in self._parameters],
            gradients,
            self._means,
            self._squares,
            [],
            self._counters,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self._lr,
            weight_decay=0.0,
            eps=EPSILON / math.sqrt(1 - BETAS[1] ** self._steps),
            maximize=False,
        )
