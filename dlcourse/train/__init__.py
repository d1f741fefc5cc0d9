"""Training: `fit`, `evaluate`, `predict`, and the settings that they take."""

from dlcourse.train.checkpoint import Checkpoint, load_model, save_model
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.execution import Execution, Gradients
from dlcourse.train.fit import evaluate, fit, predict
from dlcourse.train.history import History
from dlcourse.train.loggers import CSVLog, TensorBoard
from dlcourse.train.losses import (
    CrossEntropy,
    cross_entropy,
    cross_entropy_in_place,
    mean_squared_error,
    squared_error,
)
from dlcourse.train.lr_range import lr_range_test
from dlcourse.train.metrics import METRICS, accuracy
from dlcourse.train.metrics import register as register_metric
from dlcourse.train.reconstruction import Reconstruction
from dlcourse.train.run import Callback

__all__ = [
    "METRICS",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "CrossEntropy",
    "EarlyStopping",
    "Execution",
    "Gradients",
    "History",
    "Reconstruction",
    "TensorBoard",
    "accuracy",
    "cross_entropy",
    "cross_entropy_in_place",
    "evaluate",
    "fit",
    "load_model",
    "lr_range_test",
    "mean_squared_error",
    "predict",
    "register_metric",
    "save_model",
    "squared_error",
]
