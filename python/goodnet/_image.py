"""Pictures to the values that a network wants, as src/input does it."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ._errors import BadInput

Picture = str | os.PathLike[str] | bytes | npt.NDArray[np.uint8] | Pillow.Image
"""A picture: a path, the bytes of a file, an array (h, w, 3), (h, w, 4) or (h, w), uint8, RGB, or a PIL image."""

Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Span = tuple[int, int]
"""From where to where, in eighths of a row or a column."""

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_MAX_BYTES = 10 << 20
_MAX_SIDE = 8192
_MAX_PIXELS = 16_000_000
_ORIENTATION = 0x0112
# Times the network's sides that a picture keeps at least before it is scaled to them.
_KEPT = 3
# What turns a picture upright, by its EXIF orientation.
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
# Rows become columns; the last column, or row, is the first then.
_TRANSPOSED, _COLUMNS_REVERSED, _ROWS_REVERSED = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


@dataclass(frozen=True, slots=True)
class Upright:
    """Upright pixels (h, w, 3), RGB, and what the picture covers of them: all, but where a file was decoded at a part of its size."""

    pixels: Rgb
    rows: Span
    columns: Span

    @classmethod
    def whole(cls, pixels: Rgb) -> "Upright":
        """All of `pixels`."""
        return cls(pixels, (0, 8 * pixels.shape[0]), (0, 8 * pixels.shape[1]))


@dataclass(frozen=True, slots=True)
class Detail:
    """No side of a JPEG file may be decoded to fewer pixels than these, upright."""

    width: int
    height: int

    @classmethod
    def of(cls, spec: dict[str, Any], exact: bool) -> "Detail | None":
        """What the network of a manifest's `input` needs to see; None: everything."""
        if exact or spec["resize"] != "stretch":
            return None
        return cls(_KEPT * spec["width"], _KEPT * spec["height"])

    def parts(self, width: int, height: int) -> int:
        """Into how many parts each side of a picture may be divided: 8, 4 or 2, the most that leaves both long enough, else 1."""
        fitting = (n for n in (8, 4, 2) if width // n >= self.width and height // n >= self.height)
        return next(fitting, 1)


def upright(picture: Picture, detail: Detail | None = None) -> Upright:
    """The upright pixels of a picture; those of a JPEG file at a half, a quarter or an eighth of its size if `detail` is left.

    EXIF orientation is applied, alpha is dropped without blending, grey and palettes become RGB; an animation gives its
    first frame. PNG, JPEG, BMP, GIF and lossless WebP give the pixels that the command sees; other decoders of lossy WebP
    and of PNG in 16-bit colour may differ by a few levels. An array and a PIL image are taken with all their pixels.
    """
    if isinstance(picture, np.ndarray):
        return Upright.whole(_from_array(picture))
    if isinstance(picture, Pillow.Image):
        return _from_pillow(picture, None)
    name, data = ("the image", picture) if isinstance(picture, bytes) else (str(picture), _read(picture))
    try:
        with Pillow.open(io.BytesIO(data), formats=_FORMATS) as opened:
            return _from_pillow(opened, detail)
    except UnidentifiedImageError as error:
        raise BadInput(f"{name}: expected a PNG, JPEG, WebP, BMP or GIF image, found another format") from error
    except Pillow.DecompressionBombError as error:
        raise BadInput(f"{name}: expected at most {_MAX_PIXELS} pixels, found more") from error
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput(f"{name}: the image cannot be decoded: {error}") from error


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        size = os.stat(path).st_size
        if size > _MAX_BYTES:
            raise BadInput(f"{path}: expected at most {_MAX_BYTES} bytes, found {size} bytes")
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise BadInput(f"expected an image, found {width} x {height} pixels")
    if max(width, height) > _MAX_SIDE or width * height > _MAX_PIXELS:
        limit = f"{_MAX_SIDE} pixels a side and {_MAX_PIXELS} in all"
        raise BadInput(f"expected at most {limit}, found {width} x {height} pixels")


def _from_array(array: npt.NDArray[Any]) -> Rgb:
    shape = array.shape
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and shape[2] in (1, 3, 4))):
        expected = "expected uint8 of shape (h, w, 3), (h, w, 4) or (h, w), values 0 to 255 in RGB"
        raise BadInput(f"{expected}, found {array.dtype} of {shape}")
    _check_size(shape[1], shape[0])
    if array.ndim == 2 or shape[2] == 1:
        return np.repeat(array.reshape(shape[0], shape[1], 1), 3, axis=2)
    return np.ascontiguousarray(array[:, :, :3])


def _from_pillow(picture: Pillow.Image, detail: Detail | None) -> Upright:
    width, height = picture.size
    parts = 1
    if detail and isinstance(picture, JpegImageFile):
        parts = detail.parts(*_turned(picture.size, _orientation(picture)))
    if parts > 1:
        picture.draft(None, (width // parts, height // parts))
    _check_size(*picture.size)
    picture.load()
    # Only now: that of a PNG may stand behind its pixels.
    orientation = _orientation(picture)
    turn = _UPRIGHT.get(orientation)
    pixels = _rgb(picture if turn is None else picture.transpose(turn))
    if parts == 1:
        return Upright.whole(pixels)
    width, height = _turned((width, height), orientation)
    return Upright(
        pixels,
        rows=_span(8 * height // parts, pixels.shape[0], orientation in _ROWS_REVERSED),
        columns=_span(8 * width // parts, pixels.shape[1], orientation in _COLUMNS_REVERSED),
    )


def _orientation(picture: Pillow.Image) -> int:
    exif = Pillow.Exif()
    try:
        exif.load(picture.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION)
    except Exception:  # noqa: BLE001: a damaged block, of which Pillow raises whatever it meets, does not spoil the picture.
        orientation = None
    return orientation if isinstance(orientation, int) else 1


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height once a picture is upright."""
    return (size[1], size[0]) if orientation in _TRANSPOSED else size


def _span(covered: int, count: int, is_reversed: bool) -> Span:
    """The eighths that `covered` of them are in a line of `count` places, at its end if reversed."""
    return (8 * count - covered, 8 * count) if is_reversed else (0, covered)


def _rgb(upright: Pillow.Image) -> Rgb:
    if upright.mode.startswith("I;16"):
        # 65535 levels to 255, to the nearest.
        grey = (np.asarray(upright).astype(np.uint32) + 128) // 257
        return _from_array(grey.astype(np.uint8))
    if upright.mode in ("I", "F"):
        raise BadInput(f"expected 8 or 16 bits a channel, found a picture of mode {upright.mode}")
    return np.array(upright.convert("RGB"))


@dataclass(frozen=True, slots=True)
class Preprocess:
    """From pixels to what one network wants: value = (pixel * scale - mean) / std, in f32."""

    height: int
    width: int
    channels: int
    layout: str
    color: str
    resize: str
    tables: Floats
    """The value of every byte in every channel of the network, (C, 256)."""

    @classmethod
    def of(cls, spec: dict[str, Any]) -> "Preprocess":
        """For the `input` of a manifest."""
        mean, std = (np.asarray(spec[name], dtype=np.float32)[:, None] for name in ("mean", "std"))
        tables = (np.arange(256, dtype=np.float32) * np.float32(spec["scale"]) - mean) / std
        names = ("height", "width", "channels", "layout", "color", "resize")
        return cls(**{name: spec[name] for name in names}, tables=tables)

    def __call__(self, picture: Upright) -> Floats:
        """The values of one picture, a batch of one: (1, C, H, W) or (1, H, W, C)."""
        sized = self._sized(picture)
        if self.color == "grey":
            # ITU-R BT.601.
            red, green, blue = np.moveaxis(sized.astype(np.uint32), 2, 0)
            luma = (19_595 * red + 38_470 * green + 7_471 * blue + 32_768) >> 16
            sized = luma.astype(np.uint8)[:, :, None]
        elif self.color == "bgr":
            sized = sized[:, :, ::-1]
        planes = np.stack([table[sized[:, :, channel]] for channel, table in enumerate(self.tables)])
        return np.ascontiguousarray(planes[None] if self.layout == "nchw" else planes.transpose(1, 2, 0)[None])

    def _sized(self, picture: Upright) -> Rgb:
        height, width = picture.pixels.shape[:2]
        if (height, width) == (self.height, self.width):
            return picture.pixels
        if self.resize != "stretch":
            raise BadInput(f"expected {self.width} x {self.height} pixels, found {width} x {height}")
        tall = _sample(picture.pixels.astype(np.float32), picture.rows, self.height)
        wide = _sample(tall.transpose(1, 0, 2), picture.columns, self.width).transpose(1, 0, 2)
        limited = np.clip(wide, np.float32(0), np.float32(255))
        whole = np.floor(limited)
        return (whole + (limited - whole >= np.float32(0.5))).astype(np.uint8)


def _sample(lines: Floats, span: Span, size: int) -> Floats:
    """The `span` of `lines` (n, m, 3) scaled to (size, m, 3) with a triangle filter that widens where it shrinks.

    Every sum in f32 and in the order in which the command's library forms it, so that the same bits come out.
    """
    count = len(lines)
    half, eight = np.float32(0.5), np.float32(8)
    start = np.float32(span[0]) / eight
    ratio = np.float32(span[1] - span[0]) / eight / np.float32(size)
    support = max(ratio, np.float32(1))
    scaled = np.empty((size, *lines.shape[1:]), np.float32)
    for place in range(size):
        centre = start + (np.float32(place) + half) * ratio
        left = min(max(int(np.floor(centre - support)), 0), count - 1)
        right = min(max(int(np.ceil(centre + support)), left + 1), count)
        distance = np.abs((np.arange(left, right, dtype=np.float32) - (centre - half)) / support)
        weights = np.where(distance < 1, np.float32(1) - distance, np.float32(0))
        # cumsum adds one after the other, sum in pairs.
        weights /= np.cumsum(weights, dtype=np.float32)[-1]
        total = np.zeros(lines.shape[1:], np.float32)
        for line, weight in zip(lines[left:right], weights, strict=True):
            total += line * weight
        scaled[place] = total
    return scaled
