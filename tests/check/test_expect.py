"""`expect` takes right answers of every form, and says of a wrong one how it differs."""

import pytest
import torch

from dlcourse.check.expect import WrongAnswerError, assert_close, expect

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("got", [5.0, 0, -INF, 1e308, torch.tensor(2.0)])
def test_no_other_number_is_close_to_infinity(got):
    for form, right in ((got, INF), ([got], [INF]), ({"a": got}, {"a": INF})):
        with pytest.raises(WrongAnswerError):
            expect(form, right)  # with the tolerances that it takes by itself


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.tensor([1.0, NAN]).double(), torch.tensor([1.0, NAN])),
        (torch.tensor([0.1]), torch.tensor([0.1]).double()),
        (0.5, torch.tensor(0.5)),
        (torch.tensor(0.5), 0.5),
        (torch.tensor(2), 2),
        (2.0, 2),
        (torch.tensor(True), True),
        ([1, 2], (1, 2)),
        ((torch.ones(2), 3), [torch.ones(2), 3]),
        ({"a": torch.ones(1)}, {"a": torch.ones(1)}),
        (0.1 + 0.2, 0.3),
        (INF, INF),
        ((1, -INF), (1, -INF)),
        ("text", "text"),
        ((7, 8), (7, ...)),
    ],
)
def test_right_answers_of_every_form_are_taken(got, expected):
    expect(got, expected)


@pytest.mark.parametrize(
    ("got", "expected", "text"),
    [
        (None, torch.ones(2), "your function returned None; is a `return` missing?"),
        (1.0, torch.ones(2), "expected a tensor of shape (2,), got the float 1"),
        ([1.0, 1.0], torch.ones(2), "expected a tensor of shape (2,), got a list of 2 values"),
        (torch.ones(2, dtype=torch.int64), torch.zeros(3), "expected shape (3,), got (2,)"),
        (torch.ones(2).long(), torch.zeros(2), "expected torch.float32, got torch.int64"),
        (torch.ones(2) > 0, torch.ones(2), "expected torch.float32, got torch.bool"),
        (torch.ones(2).double(), torch.zeros(2), "expected [0., 0.], got [1., 1.]"),
        (torch.tensor([0.50004]), torch.tensor([0.5]),
         "expected [0.5000], got [0.5000], which differs by up to 4e-05"),
        (0.0125, 0.125, "expected 0.125, got 0.0125"),
        (0.12345678, 0.1234567, "expected 0.1234567, got 0.12345678, which differs by 8e-08"),
        (True, 1, "expected the int 1, got True"),
        ("0.5", 0.5, "expected the float 0.5, got the text '0.5'"),
        (torch.ones(2, 1), 1.0, "expected the float 1, got a tensor of shape (2, 1)"),
        ([1, 3], [1, 2], "expected [1, 2], got [1, 3]"),
        (-INF, INF, "expected inf, got -inf"),
        (INF, 5.0, "expected 5, got inf"),
        (NAN, INF, "expected inf, got nan"),
        ([torch.ones(1)], [torch.ones(1), 2], "expected 2 values, got 1"),
        ([torch.ones(1), 3], [torch.ones(1), 2], "at index 1: expected 2, got 3"),
        ({"a": 1}, {"b": 1}, "'b' is missing; 'a' is not expected"),
    ],
)  # fmt: skip
def test_wrong_answer_says_type_before_shape_before_dtype_before_value(got, expected, text):
    with pytest.raises(WrongAnswerError) as raised:
        expect(got, expected, rtol=0, atol=0)
    assert str(raised.value) == text


def test_values_of_a_tuple_have_names():
    names = ("the weight", "the bias")
    expect((torch.ones(2), 0.0), (torch.ones(2), 0.0), names)
    with pytest.raises(WrongAnswerError, match=r"^the bias: expected 1, got 0$"):
        expect((torch.ones(2), 0.0), (torch.ones(2), 1.0), names)
    text = r"^expected 2 values \(the weight, the bias\), got a tensor of shape \(4,\)$"
    with pytest.raises(WrongAnswerError, match=text):
        expect(torch.ones(4), (torch.ones(2), 1.0), names)


def test_typical_mistake_is_named_by_the_value_that_it_gives():
    mistakes = {"the sum instead of the mean": (4.0, ...), "a wrong sign": (-2.0, ...)}
    with pytest.raises(WrongAnswerError) as raised:
        expect((-2.0, 7), (2.0, 7), mistakes=mistakes)
    assert (
        str(raised.value) == "expected (2.0, 7), got (-2.0, 7); this is the result of a wrong sign"
    )
    assert raised.value.mistake == "a wrong sign"
    with pytest.raises(WrongAnswerError) as raised:
        expect((3.0, 7), (2.0, 7), mistakes=mistakes)
    assert raised.value.mistake == ""


def test_small_difference_in_double_precision_is_seen():
    x = torch.ones(2, dtype=torch.float64)
    expect(x.float() + 1e-5, x)
    with pytest.raises(WrongAnswerError, match="differs by up to 1e-05"):
        expect(x + 1e-5, x)


def test_an_answer_in_float64_is_close_to_float32_and_one_that_lost_digits_is_not():
    x = torch.tensor([0.1])
    assert_close(x.double(), x)
    for got, expected in ((x.double() + 1e-3, x), (x, x.double()), (torch.ones(1).int(), x / x)):
        with pytest.raises(AssertionError):
            assert_close(got, expected)
