"""Data sets for the command: paths as they are, arrays as a folder of PNG files."""

import contextlib
import csv
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ._errors import BadInput

Path_ = str | os.PathLike[str]
"""A path as people give it."""

Data = Path_ | tuple[npt.NDArray[np.uint8], npt.ArrayLike]
"""A data set: a path (HDF5 or a folder, as the command reads it), or images (n, h, w, 3) or (n, h, w), uint8, and labels (n)."""


@contextlib.contextmanager
def as_path(data: Data | None) -> Iterator[Path_ | None]:
    """The path of a data set; arrays lie in a folder that is gone afterwards."""
    if data is None or isinstance(data, (str, os.PathLike)):
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="goodnet-") as folder:
        write_folder(Path(folder), *data)
        yield folder


def write_folder(folder: Path, images: Any, labels: Any) -> None:
    """Writes images as PNG files and a labels.csv, as the command reads them."""
    pixels, classes = np.asarray(images), np.asarray(labels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[-1] != 3):
        raise BadInput(f"images: expected uint8 of shape (n, h, w, 3) or (n, h, w), found {pixels.dtype} of {pixels.shape}")
    if classes.shape != pixels.shape[:1] or not np.issubdtype(classes.dtype, np.integer):
        found = f"{classes.dtype} of {classes.shape}"
        raise BadInput(f"labels: expected {len(pixels)} integers, one an image, found {found}")
    width = len(str(len(pixels)))
    names = [f"{number:0{width}}.png" for number in range(len(pixels))]
    for name, picture in zip(names, pixels, strict=True):
        Image.fromarray(picture).save(folder / name, compress_level=1)
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label"), *zip(names, classes.tolist(), strict=True)])
