"""Training: `fit`, `evaluate`, what they measure, when they stop, what they write down."""

from dlcourse.train.callbacks import Callback
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.fit import evaluate, fit
from dlcourse.train.history import History
from dlcourse.train.metrics import METRICS, accuracy, cross_entropy
from dlcourse.train.reconstruction import Reconstruction, squared_error
from dlcourse.train.softmax import cross_entropy_in_place

__all__ = [
    "METRICS",
    "Callback",
    "EarlyStopping",
    "History",
    "Reconstruction",
    "accuracy",
    "cross_entropy",
    "cross_entropy_in_place",
    "evaluate",
    "fit",
    "squared_error",
]
