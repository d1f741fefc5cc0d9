"""What student code hands over is bounded, and describing it never fails."""

import random
from collections import namedtuple

import pytest
import torch

from dlcourse.check.explain import difference, explain_assertion
from dlcourse.check.protocol import Buffers, ProtocolError, decode, encode, pack, unpack

from support.answers import value


def refuse(_):
    raise TypeError("no plain data")


def crossed(value):
    buffers = Buffers()
    message = {"v": encode(value, buffers, refuse)}
    message, buffers = unpack(pack(message, buffers))
    return decode(message["v"], buffers, refuse)


def test_no_answer_is_beyond_description():
    draw = random.Random(0)
    for _ in range(2000):
        got, expected = value(draw), value(draw)
        assert isinstance(difference(crossed(got), expected), str)
        assert isinstance(difference(crossed([got]), [expected]), str)
        assert isinstance(explain_assertion(AssertionError(), None, ("==", got, expected)), str)
        assert isinstance(explain_assertion(AssertionError(), None, ("<", got, expected)), str)


def test_namedtuple_is_a_tuple_and_what_max_returns_is_none():
    pair = namedtuple("Pair", "mean components")(torch.ones(2), 3)
    got = crossed(pair)
    assert type(got) is tuple
    assert got[0].tolist() == [1, 1]
    assert got[1] == 3
    with pytest.raises(TypeError, match="no plain data"):
        crossed(torch.eye(2).max(1))


def test_dictionaries_of_tensors_are_compared_by_value():
    same = {(7,): torch.zeros(2), "shape": (torch.ones(1), 2)}
    assert difference({(7,): torch.zeros(2), "shape": (torch.ones(1), 3)}, same).startswith(
        "'shape'"
    )
    assert difference({(7,): torch.ones(2), "shape": (torch.ones(1), 2)}, same).startswith("(7,): ")


class Unspeakable:
    def __eq__(self, other):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")

    __hash__ = None


def test_value_that_cannot_be_described_is_still_a_wrong_answer():
    values = {1: Unspeakable()}, {1: Unspeakable()}
    said = "not the expected value, and describing it raised RuntimeError"
    assert difference(*values) == said
    assert explain_assertion(AssertionError(), None, ("==", *values)) == said


def test_nan_reads_as_nan():
    nan = torch.full((6, 6), torch.nan)
    assert difference(nan, nan) == "36 of 36 values are nan, which is equal to nothing"
    for got, expected in ((nan, torch.ones(6, 6)), (torch.ones(6, 6), nan)):
        said = difference(got, expected)
        assert said.startswith("36 of 36 values differ, most at [0, 0]: expected ")
        assert "nan" in said
    assert difference(torch.tensor([torch.nan]), torch.ones(1)) == "expected [1.], got [nan]"


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"t": "tensor", "dtype": "int8", "shape": [2**26, 0]}, "an empty tensor of shape"),
        ({"t": "tensor", "dtype": "int8", "shape": [0, 2**13, 2**13]}, "an empty tensor of shape"),
        ({"t": "set", "v": [k * (2**61 - 1) for k in range(100)]}, "more than 16 keys with"),
        ({"t": "dict", "v": [[{"t": "tuple", "v": [k * (2**61 - 1)]}, 0] for k in range(100)]},
         "more than 16 keys with the same hash"),
        ({"t": "set", "v": list(range(10_001))}, "more than 10,000 keys"),
        ([[0] * 1000] * 300, "more than 300,000 values"),
    ],
)  # fmt: skip
def test_value_that_would_cost_the_tests_much_is_refused(node, message):
    with pytest.raises(ProtocolError, match=message):
        decode(node, Buffers([b""]), refuse)


def test_frame_of_very_many_buffers_is_refused():
    with pytest.raises(ProtocolError, match="a frame without a message"):
        unpack(pack({}, Buffers([b""] * 20_001)))
