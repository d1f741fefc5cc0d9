"""The gated recurrent unit's cell."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.models.recurrent import Cell

__all__ = ["GRUCell"]


class GRUCell(Cell):
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

        r, z = sigmoid(gates)               reset, keep
        n = tanh(W x_t + r (U h_{t-1}))     the candidate
        h_t = (1 - z) n + z h_{t-1}

    Departs from the paper, as torch.nn.GRUCell does, whose parameters have the same names: r scales
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
