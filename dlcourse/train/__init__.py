"""Training: `fit`, `evaluate`, what they measure, when they stop, what they write down."""

from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.fit import evaluate, fit
from dlcourse.train.history import History
from dlcourse.train.metrics import METRICS, accuracy, cross_entropy

__all__ = [
    "METRICS",
    "EarlyStopping",
    "History",
    "accuracy",
    "cross_entropy",
    "evaluate",
    "fit",
]
