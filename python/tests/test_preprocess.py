"""What the command's own tests say of `input::preprocess`, and of its resize filter."""

import numpy as np
import pytest
from goodnet import BadInput
from goodnet._image import Detail, Preprocess, Upright, upright
from PIL import Image

SPEC = {
    "height": 2,
    "width": 3,
    "channels": 3,
    "layout": "nhwc",
    "color": "rgb",
    "scale": 0.003921569,
    "mean": [0.5, 0.25, 0.125],
    "std": [0.5, 2.0, 4.0],
    "resize": "stretch",
}


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_values_are_those_of_the_definition(layout, color):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 3), np.uint8)
    values = Preprocess.of(SPEC | {"layout": layout, "color": color})(Upright.whole(pixels))
    assert values.dtype == np.float32
    values = values[0].transpose(1, 2, 0) if layout == "nchw" else values[0]
    source = pixels[:, :, ::-1] if color == "bgr" else pixels
    scale, mean, std = (np.float32(SPEC[name]) for name in ("scale", "mean", "std"))
    np.testing.assert_array_equal(values, (source.astype(np.float32) * scale - mean) / std)


def test_colours_become_luma_and_grey_stays():
    grey = Preprocess.of(SPEC | {"channels": 1, "color": "grey", "scale": 1.0, "mean": [0.0], "std": [1.0]})
    pixels = np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 50, 3, axis=2)
    pixels[0, 0] = (255, 0, 0)
    np.testing.assert_array_equal(grey(Upright.whole(pixels)).ravel(), [76, 50, 100, 150, 200, 250])


def test_another_size_is_stretched_or_refused():
    pixels = Upright.whole(np.full((4, 6, 3), 200, np.uint8))
    even = Preprocess.of(SPEC)(pixels)
    np.testing.assert_array_equal(even, Preprocess.of(SPEC)(Upright.whole(np.full((2, 3, 3), 200, np.uint8))))
    with pytest.raises(BadInput, match="expected 3 x 2 pixels, found 6 x 4"):
        Preprocess.of(SPEC | {"resize": "exact"})(pixels)


def test_a_picture_keeps_three_times_the_networks_sides():
    spec = SPEC | {"width": 47, "height": 55}
    detail = Detail.of(spec, exact=False)
    table = {
        (47, 55): 1,
        (281, 330): 1,
        (282, 329): 1,
        (282, 330): 2,
        (563, 660): 2,
        (564, 660): 4,
        (4000, 659): 2,
        (1128, 1320): 8,
        (4000, 3000): 8,
    }
    assert {size: detail.parts(*size) for size in table} == table
    assert Detail.of(spec, exact=True) is None
    assert Detail.of(spec | {"resize": "exact"}, exact=False) is None


@pytest.mark.parametrize("name", ["420", "422", "444", "progressive", "restarts", "grey", "cmyk", "turned"])
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_a_part_of_a_jpeg_has_the_pixels_of_the_command(root, name, parts):
    """The pictures are those that the command's own test compares with."""
    folder = root / "tests/fixtures/scaled"
    width, height = (149, 173) if name == "turned" else (173, 149)
    found = upright(folder / f"{name}.jpg", Detail(width // parts, height // parts))
    expected = np.asarray(Image.open(folder / f"{name}.{parts}.png").convert("RGB"))
    if name == "turned":
        expected = np.rot90(expected, -1)
    np.testing.assert_array_equal(found.pixels, expected)
    covered = [end - start for start, end in (found.columns, found.rows)]
    assert covered == [8 * width // parts, 8 * height // parts]
