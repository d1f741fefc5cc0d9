"""Recurrent cells: Elman, LSTM, GRU, the structurally constrained one; a layer of any cell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.values import check_share, check_whole

__all__ = ["SCRN", "Cell", "ElmanCell", "GRUCell", "LSTMCell", "Recurrent", "SCRNCell", "lstm_cell"]


class Cell(nn.Module):
    """One step in time: forward(inputs (N, input_size), state) -> (output (N, H), new state).

    A subclass sets `num_gates`, how many blocks of hidden_size its two linear maps compute at once.
    Parameters are named and drawn as in torch's own cells: uniform within 1 / sqrt(H). State None
    means zeros. Raises UsageError for sizes below 1.
    """

    num_gates: int

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_whole(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        rows, bound = self.num_gates * hidden_size, hidden_size**-0.5
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.bias_hh = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))

    def project_inputs(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def project_hidden(self, h: Tensor) -> Tensor:
        return F.linear(h, self.weight_hh, self.bias_hh)


class ElmanCell(Cell):
    """h_t = tanh(A x_t + R h_{t-1}), with biases (Elman 1990, Cognitive Science 14:179).

    Differs from the paper: tanh for the logistic function, as in torch.nn.RNNCell, whose
    parameters have the same names: A is `weight_ih`, R is `weight_hh`.

    Shape: inputs (N, input_size), state h (N, hidden_size) -> output h, new state h.
    """

    num_gates = 1

    def forward(self, inputs: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if h is None:
            h = inputs.new_zeros(len(inputs), self.hidden_size)
        h = torch.tanh(self.project_inputs(inputs) + self.project_hidden(h))  # (N, H)
        return h, h


def lstm_cell(
    inputs: Tensor,
    state: tuple[Tensor, Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM with forget gates (Gers et al. 2000); returns the new (h, c).

        i, f, o = sigmoid(gates)    what enters, what stays, what shows
        g = tanh(gate)              the candidate
        c_t = f c_{t-1} + i g       the memory
        h_t = o tanh(c_t)

    Shape: inputs (N, D), state (h (N, H), c (N, H)), weight_ih (4H, D), weight_hh (4H, H),
    biases (4H,), their rows in torch's order i, f, g, o -> (h (N, H), c (N, H)).
    """
    h, c = state
    gates = inputs @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh  # (N, 4H)
    i, f, g, o = gates.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)  # (N, H)
    return torch.sigmoid(o) * torch.tanh(c), c


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gates by Gers et al. 2000).

    Differs from the 1997 paper: forget gates, no peepholes, one memory cell a block, gradients
    through every gate. It equals torch.nn.LSTMCell, and its parameters have the same names.

    Shape: inputs (N, input_size), state (h, c) each (N, hidden_size) -> output h, new (h, c).
    """

    num_gates = 4

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if state is None:
            zeros = inputs.new_zeros(len(inputs), self.hidden_size)
            state = zeros, zeros
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        h, c = lstm_cell(inputs, state, *weights)
        return h, (h, c)


class GRUCell(Cell):
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

        r, z = sigmoid(gates)               reset, keep
        n = tanh(W x_t + r (U h_{t-1}))     the candidate
        h_t = (1 - z) n + z h_{t-1}

    Differs from the paper, as torch.nn.GRUCell does, whose parameters have the same names: r scales
    U h, not h. Lecture J writes z where this has 1 - z.

    Shape: inputs (N, input_size), state h (N, hidden_size) -> output h, new state h.
    """

    num_gates = 3

    def forward(self, inputs: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if h is None:
            h = inputs.new_zeros(len(inputs), self.hidden_size)
        r_x, z_x, n_x = self.project_inputs(inputs).chunk(3, dim=1)  # (N, H) each
        r_h, z_h, n_h = self.project_hidden(h).chunk(3, dim=1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        h = (1 - z) * torch.tanh(n_x + r * n_h) + z * h
        return h, h


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


class Recurrent(nn.Module):
    """Apply a cell step by step to a sequence; called like torch.nn.LSTM(batch_first=True).

    Shape: inputs (N, T, input_size), state or None -> outputs (N, T, H), state after T steps.
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.output_size = cell, cell.output_size

    def forward(self, inputs: Tensor, state: object = None) -> tuple[Tensor, object]:
        outputs = []
        for step in inputs.unbind(1):
            output, state = self.cell(step, state)
            outputs.append(output)
        return torch.stack(outputs, 1), state
