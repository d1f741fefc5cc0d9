"""Training: `fit`, `evaluate`, `predict`, and the settings that they take."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.execution import Execution, Gradients
from dlcourse.train.fit import evaluate, fit, predict
from dlcourse.train.history import History
from dlcourse.train.losses import (
    CrossEntropy,
    cross_entropy,
    cross_entropy_in_place,
    laplacian_loss,
    mean_squared_error,
    squared_error,
)
from dlcourse.train.metrics import METRICS, accuracy
from dlcourse.train.metrics import register as register_metric
from dlcourse.train.run import Callback

if TYPE_CHECKING:
    from dlcourse.train.checkpoint import Checkpoint, load_model, save_model
    from dlcourse.train.loggers import CSVLog, TensorBoard
    from dlcourse.train.lr_range import lr_range_test
    from dlcourse.train.reconstruction import Reconstruction

# Imported when they are first used: the student bundle does not contain these modules.
HOME = {
    "CSVLog": "loggers",
    "Checkpoint": "checkpoint",
    "Reconstruction": "reconstruction",
    "TensorBoard": "loggers",
    "load_model": "checkpoint",
    "lr_range_test": "lr_range",
    "save_model": "checkpoint",
}

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
    "laplacian_loss",
    "load_model",
    "lr_range_test",
    "mean_squared_error",
    "predict",
    "register_metric",
    "save_model",
    "squared_error",
]


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)
