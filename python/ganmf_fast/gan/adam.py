"""Adam as TensorFlow 1 computes it.

Objective: ``p -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)``, with dense moments: every
row moves at every step, whether or not it had a part in the gradient.
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

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class TensorFlowAdam:
    """Adam over `parameters`, whose ``grad`` must be set before each :meth:`step`."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> None:
        self._parameters = list(parameters)
        self._torch = torch.optim.Adam(
            self._parameters, lr=lr, betas=BETAS, eps=EPSILON, fused=True
        )
        self._steps = 0

    def step(self) -> None:
        """Move every parameter once."""
        self._steps += 1
        for group in self._torch.param_groups:
            group["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** self._steps)
        self._torch.step()

    def state_dict(self) -> dict[str, Tensor]:
        """Steps taken, and the moments of each parameter by its place; nothing before a step."""
        return {
            f"{place}.{name}": value
            for place, parameter in enumerate(self._parameters)
            for name, value in self._torch.state.get(parameter, {}).items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self._torch.state.clear()
        for key, value in state.items():
            place, _, name = key.partition(".")
            parameter = self._parameters[int(place)]
            self._torch.state[parameter][name] = value.clone().to(parameter.device)
            if name == "step":
                self._steps = int(value)
