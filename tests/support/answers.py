"""Answers of every kind that student code could give, for tests that no answer may break."""

import torch

from dlcourse.check.protocol import DTYPES, Buffers, ProtocolError, decode, encode


class Node:
    """A value of the wire that only the other side can read, such as a handle."""

    def __init__(self, node):
        self.node = node


def node_of(value):
    if isinstance(value, Node):
        return value.node
    raise TypeError("no plain data")


def value(draw, depth=0):
    """A value of any kind that can cross, often an odd one."""
    kind = draw.randrange(8 if depth > 2 else 12)
    size = draw.choice([0, 1, 2, 3])
    if kind == 0:
        return draw.choice([None, True, False, 0, -1, 2**70, 0.5, float("nan"), float("-inf")])
    if kind == 1:
        return draw.choice(["", "text", "\u0142", b"", b"bytes", 1j, complex("nan"), ..., slice(1)])
    if kind == 2:
        return draw.choice([torch.float16, torch.device("cpu"), torch.Size([2])])
    if kind < 8:
        shape = [draw.choice([0, 1, 2, 20]) for _ in range(size)]
        tensor = torch.randint(0, 2, shape).to(draw.choice(list(DTYPES.values())))
        return tensor / 0 if tensor.is_floating_point() and draw.random() < 0.3 else tensor
    values = [value(draw, depth + 1) for _ in range(size)]
    if kind == 8:
        return values
    if kind == 9:
        return tuple(values)
    if kind == 10:
        return {at if draw.random() < 0.5 else (at,): one for at, one in enumerate(values)}
    return {draw.randrange(3) for _ in range(size)}


def changed(draw, right):
    """The right answer with one change, of a kind that fits it."""
    changes = [lambda: value(draw), lambda: [right], lambda: (right,), lambda: {(7,): right}]
    if isinstance(right, torch.Tensor):
        changes += [
            lambda: right.to(draw.choice(list(DTYPES.values()))),
            lambda: right.unsqueeze(0),
            lambda: right.flatten()[:0],
            lambda: right * float("nan"),
            lambda: right.flatten().tolist(),
            lambda: right.numpy(),
            lambda: right.new_zeros(right.shape),
        ]
    elif isinstance(right, bool | int | float):
        changes += [lambda: -right, lambda: float("nan"), lambda: str(right), lambda: 2**70,
                    lambda: torch.tensor(right), lambda: torch.tensor([right])]  # fmt: skip
    elif isinstance(right, list | tuple) and right:
        at = draw.randrange(len(right))
        kind = type(right)
        changes += [
            lambda: kind(right[:-1]),
            lambda: kind(right[::-1]),
            lambda: kind(),
            lambda: dict(enumerate(right)),
            lambda: kind([*right[:at], changed(draw, right[at]), *right[at + 1 :]]),
        ]
    elif isinstance(right, dict) and right:
        key = draw.choice(list(right))
        changes += [
            lambda: {other: one for other, one in right.items() if other != key},
            lambda: right | {key: changed(draw, right[key])},
            lambda: list(right.items()),
            lambda: right | {(0, None): torch.zeros(2)},
        ]
    elif isinstance(right, Node):
        changes += [lambda: Node({"t": "handle", "v": 999}), lambda: None]
    return draw.choice(changes)()


class AnyAnswers:
    """A channel to nobody: it gives generated answers.

    right: a channel to right answers. They are then given most of the time, one in four with a
    change.
    """

    def __init__(self, draw, right=None):
        self.draw, self.right = draw, right

    def ask(self, message, buffers, call_back):
        if self.right is None and message["do"] == "load":
            return {"value": None}, Buffers()
        if self.right is None:
            return self.crossed(value(self.draw))
        reply, replies = self.right.ask(message, buffers, call_back)
        if "value" not in reply or message["do"] == "load" or self.draw.random() > 0.25:
            return reply, replies
        return self.crossed(changed(self.draw, decode(reply["value"], replies, Node)))

    def crossed(self, answer):
        buffers = Buffers()
        try:
            return {"value": encode(answer, buffers, node_of)}, buffers
        except (TypeError, ProtocolError):
            return {"value": None}, Buffers()
