"""Long short-term memory: one step as a function of plain tensors, and the cell around it."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.models.recurrent import Cell

__all__ = ["LSTMCell", "lstm_cell"]


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

    Departs from the 1997 paper: forget gates, no peepholes, one memory cell a block, gradients
    through every gate; equal to torch.nn.LSTMCell, and its parameters have the same names.

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
