"""What recurrent cells share, and a layer that walks one along a sequence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.models.checks import check_sizes

__all__ = ["Cell", "Recurrent"]


class Cell(nn.Module):
    """One step in time: forward(inputs (N, input_size), state) -> (output (N, H), new state).

    A subclass sets `num_gates`, how many blocks of hidden_size its two linear maps compute at once.
    Parameters are named and drawn as those of torch's own cells: uniform within 1 / sqrt(H).
    State None is all zeros. Raises UsageError for sizes below 1.
    """

    num_gates: int

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
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


class Recurrent(nn.Module):
    """A cell walked along a sequence; called as torch.nn.LSTM(batch_first=True) is.

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
