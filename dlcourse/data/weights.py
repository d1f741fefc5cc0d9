"""Weights of trained networks in the data folder, such as torchvision's for ImageNet."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.data import catalog
from dlcourse.data.folder import data_folder
from dlcourse.errors import DataError, UnknownNameError

__all__ = ["load_state_dict"]


def load_state_dict(
    name: str, data_dir: str | PathLike[str] | None = None, *, offline: bool = False
) -> dict[str, Tensor]:
    """The state dict called `name`, for example "resnet18-weights", downloaded unless it is here.

    data_dir: the data folder, else $DLCOURSE_DATA, else datasets/. Give the result to
    `dlcourse.models.load_weights`. Nothing in the file is executed.

    Raises UnknownNameError, and DataError for a file that is not there or damaged.
    """
    entry = catalog.CATALOG.get(name)
    if entry is None:
        raise UnknownNameError("weights", name, catalog.names("weights"))
    catalog.check_kind(entry, "weights")
    from dlcourse.data.store import locate

    folder = data_folder(data_dir)
    paths, why = locate(entry, folder, offline)
    if not paths:
        raise DataError(
            f"{entry.title} are not here: {str(folder)!r} lacks {entry.files[0].path}; {why}; run "
            f"`dlcourse data get {name}` with a network"
        )
    return read(paths[0])


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in the file at `path`. Raises DataError for a file of another kind."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 (torch.load raises whatever its parts raise)
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"cannot read the weights in {str(path)!r}: {reason}; delete it and get it again"
        ) from None
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(
            isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
        )
    ):
        raise DataError(
            f"{str(path)!r} must hold a state dict, names with tensors, got "
            f"{type(state).__name__}; delete it and get it again"
        )
    return dict(state)
