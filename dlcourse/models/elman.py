"""The simple recurrent network's cell (Elman 1990)."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.models.recurrent import Cell

__all__ = ["ElmanCell"]


class ElmanCell(Cell):
    """h_t = tanh(A x_t + R h_{t-1}), with biases (Elman 1990, Cognitive Science 14:179).

    Departs from the paper: tanh for the logistic function, as in torch.nn.RNNCell, whose
    parameters have the same names: A is `weight_ih`, R is `weight_hh`.

    Shape: inputs (N, input_size), state h (N, hidden_size) -> output h, new state h.
    """

    num_gates = 1

    def forward(self, inputs: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if h is None:
            h = inputs.new_zeros(len(inputs), self.hidden_size)
        h = torch.tanh(self.project_inputs(inputs) + self.project_hidden(h))  # (N, H)
        return h, h
