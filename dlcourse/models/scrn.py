"""The structurally constrained recurrent network: hidden units and slow, linear context units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlcourse.values import check_share, check_whole

__all__ = ["SCRN", "SCRNCell"]


class SCRNCell(nn.Module):
    """A cell of the structurally constrained network (Mikolov et al. 2015, arXiv:1412.7753).

        s_t = (1 - alpha) B x_t + alpha s_{t-1}        the context: linear, slow
        h_t = sigmoid(P s_t + A x_t + R h_{t-1})       the hidden units

    The output is h_t and s_t side by side, so that a linear layer [U V] on it is the paper's
    U h_t + V s_t. No biases, as in the paper. alpha: how slowly the context forgets, in [0, 1).

    Shape: inputs (N, input_size), state (h (N, hidden_size), s (N, context_size))
    -> output (N, hidden_size + context_size), new state (h, s).
    """

    def __init__(
        self, input_size: int, hidden_size: int, context_size: int = 40, alpha: float = 0.95
    ) -> None:
        super().__init__()
        check_whole(input_size=input_size, hidden_size=hidden_size, context_size=context_size)
        check_share(alpha=alpha)
        self.hidden_size, self.context_size, self.alpha = hidden_size, context_size, alpha
        self.output_size = hidden_size + context_size
        self.A = nn.Linear(input_size, hidden_size, bias=False)
        self.B = nn.Linear(input_size, context_size, bias=False)
        self.P = nn.Linear(context_size, hidden_size, bias=False)
        self.R = nn.Linear(hidden_size, hidden_size, bias=False)

    def zero_state(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The state before the first step. Shape: inputs (N, ...) -> ((N, H), (N, C))."""
        N = len(inputs)
        return inputs.new_zeros(N, self.hidden_size), inputs.new_zeros(N, self.context_size)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, s = self.zero_state(inputs) if state is None else state
        s = (1 - self.alpha) * self.B(inputs) + self.alpha * s  # (N, C)
        h = torch.sigmoid(self.P(s) + self.A(inputs) + self.R(h))  # (N, H)
        return torch.cat([h, s], 1), (h, s)


class SCRN(SCRNCell):
    """SCRNCell for a whole sequence at once, except for the product R h_{t-1}.

    The context is linear, so it is one product with the powers of alpha:
    s_t = alpha^t s_0 + sum over k <= t of alpha^(t - k) (1 - alpha) B x_k.

    Shape: inputs (N, T, input_size), state (h, s) or None
    -> outputs (N, T, hidden_size + context_size), state after T steps.
    """

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, s = self.zero_state(inputs) if state is None else state
        t = torch.arange(1, inputs.shape[1] + 1, device=inputs.device, dtype=inputs.dtype)
        powers = (self.alpha ** (t[:, None] - t).clamp(min=0)).tril()  # (T, T)
        context = powers @ ((1 - self.alpha) * self.B(inputs))  # (N, T, C)
        context = context + (self.alpha**t)[:, None] * s[:, None]
        drive = self.P(context) + self.A(inputs)  # (N, T, H)
        hidden = []
        for step in drive.unbind(1):
            h = torch.sigmoid(torch.addmm(step, h, self.R.weight.T))
            hidden.append(h)
        return torch.cat([torch.stack(hidden, 1), context], 2), (h, context[:, -1])
