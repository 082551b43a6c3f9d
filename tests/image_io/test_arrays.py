"""Arrays and wide pixels: what number is white is told by the type and by the largest value."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io import as_photo, load_photo
from spiralage.types import Pixels

INTEGERS = ["int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATS = ["float16", "float32", "float64"]


def shades() -> Pixels:
    """Every value of 8 bits, 16×16."""
    return np.arange(256, dtype=np.uint8).reshape(16, 16)


def colours() -> Pixels:
    return np.dstack([shades(), shades()[::-1], shades().T])


def tiff(values: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="rgb" if values.ndim == 3 else "minisblack")
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_values_to_255_look_as_in_8_bits(dtype: str) -> None:
    np.testing.assert_array_equal(as_photo(shades().astype(dtype)).pixels[..., 1], shades())
    np.testing.assert_array_equal(as_photo(colours().astype(dtype)).pixels, colours())


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_values_of_10_12_and_16_bits_are_not_dark(dtype: str, bits: int) -> None:
    white = 2**bits - 1
    values = np.round(colours() * (white / 255)).astype(dtype)
    assert np.abs(as_photo(values).pixels.astype(int) - colours()).max() <= 1
    assert np.abs(load_photo(tiff(values)).pixels.astype(int) - colours()).max() <= 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_to_1(dtype: str) -> None:
    np.testing.assert_array_equal(as_photo((colours() / 255).astype(dtype)).pixels, colours())
    over = np.array([[-0.005, 0.5, 1.005]], dtype)  # as resampling leaves it
    assert as_photo(over).pixels[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("white", [1, 255])
def test_floats_that_go_over_are_clipped_not_black(dtype: str, white: int) -> None:
    for times in (1.02, 1.2, 2.0 if white == 1 else 1.2):
        expected = np.minimum(colours() * times, 255)
        pixels = as_photo((colours() / 255 * times * white).astype(dtype)).pixels
        assert np.abs(pixels - expected).max() <= 1
    sharpened = colours() / 255 * white
    sharpened[0, 0], sharpened[0, 1] = -0.2 * white, 1.2 * white
    pixels = as_photo(sharpened.astype(dtype)).pixels
    assert (pixels[0, 0].tolist(), pixels[0, 1].tolist()) == ([0] * 3, [255] * 3)
    np.testing.assert_array_equal(pixels[1:], colours()[1:])


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("hot", [256, 300, 1000, 30_000])
def test_a_single_value_does_not_tell_what_is_white(dtype: str, hot: int) -> None:
    for values in (shades().astype(dtype), colours().astype(dtype)):
        values[0, 0] = hot
        np.testing.assert_array_equal(as_photo(values).pixels[1:, :, 0], shades()[1:])
        assert (as_photo(values).pixels[0, 0] == 255).all()


def test_int8_goes_to_127() -> None:
    np.testing.assert_allclose(as_photo((colours() // 2).astype(np.int8)).pixels, colours(), atol=2)
    with pytest.raises(PhotoError, match="values go from -128 to 127"):
        as_photo(colours().view(np.int8))


@pytest.mark.parametrize("dtype", ["uint8", "int8", *INTEGERS, *FLOATS])
def test_alpha_of_0_and_1(dtype: str) -> None:
    values, atol = (colours() // 2, 2) if dtype == "int8" else (colours(), 0)
    for seen in (values, values[..., 0]):
        layers = np.dstack([seen, np.ones((16, 16))]).astype(dtype)
        layers[:4, ..., -1] = 0
        pixels = as_photo(layers).pixels
        assert (pixels[:4] == 255).all()
        expected = colours() if seen.ndim == 3 else np.dstack([shades()] * 3)
        np.testing.assert_allclose(pixels[4:], expected[4:], atol=atol)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_a_little_opaque_on_a_transparent_layer(dtype: str) -> None:
    layers = np.dstack([colours(), np.zeros((16, 16), np.uint8)]).astype(dtype)
    layers[3, 4, 3], layers[5, 6, 3] = 255, 51
    pixels = as_photo(layers).pixels
    assert pixels[3, 4].tolist() == colours()[3, 4].tolist()
    np.testing.assert_allclose(pixels[5, 6], 204 + colours()[5, 6] / 5, atol=1)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("values", [shades(), colours()], ids=["gray", "colour"])
def test_tiffs_of_wide_types_with_values_to_255(values: Pixels, dtype: str) -> None:
    expected = values if values.ndim == 3 else np.dstack([values] * 3)
    np.testing.assert_array_equal(load_photo(tiff(values.astype(dtype))).pixels, expected)


@pytest.mark.parametrize("times", [1, 4, 16, 257])
def test_16_bit_pngs_are_not_dark(times: int) -> None:
    for values in (shades(), colours(), np.dstack([colours(), np.full((16, 16), 255, np.uint8)])):
        wide = values.astype(np.uint16) * times
        if values.ndim == 3:
            wide[..., :3] = wide[..., 2::-1]  # OpenCV's order
        if values.shape[-1] == 4:
            wide[..., 3] = 65535
        data = cv2.imencode(".png", wide)[1].tobytes()
        expected = np.dstack([values] * 3) if values.ndim == 2 else values[..., :3]
        assert np.abs(load_photo(data).pixels.astype(int) - expected).max() <= 1


def test_pil_images_of_wide_modes() -> None:
    for values in (shades().astype(np.float32), shades().astype(np.int32), shades().astype(np.uint16)):
        np.testing.assert_array_equal(as_photo(Image.fromarray(values)).pixels[..., 0], shades())


def test_shapes_and_bools() -> None:
    gray = np.dstack([shades()] * 3)
    np.testing.assert_array_equal(as_photo(shades()).pixels, gray)
    np.testing.assert_array_equal(as_photo(shades()[..., None]).pixels, gray)
    assert as_photo(np.array([[False, True]])).pixels[..., 2].tolist() == [[0, 255]]
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, 8:] = 255
    for layers in ((shades(), alpha), (colours(), alpha)):
        pixels = as_photo(np.dstack(layers)).pixels
        assert (pixels[:, :8] == 255).all()
        np.testing.assert_array_equal(pixels[:, 8:], (gray if len(layers[0].shape) == 2 else colours())[:, 8:])


def test_alpha_has_a_range_of_its_own() -> None:
    layers = np.dstack([colours().astype(np.float32), np.ones((16, 16), np.float32)])
    np.testing.assert_array_equal(as_photo(layers).pixels, colours())


def test_byte_order_strides_and_what_numpy_takes_as_an_array() -> None:
    class Holder:
        def __array__(self, dtype: object = None, copy: object = None) -> npt.NDArray[Any]:
            return colours()

    np.testing.assert_array_equal(as_photo(colours().astype(">u2")).pixels, colours())
    flipped = as_photo(colours()[:, ::-1, ::-1]).pixels
    assert flipped.flags.c_contiguous
    np.testing.assert_array_equal(flipped, colours()[:, ::-1, ::-1])
    np.testing.assert_array_equal(as_photo(Holder()).pixels, colours())  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 70_000.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_that_are_no_pictures(dtype: str, bad: float) -> None:
    values = np.full((300, 300), 0.5, dtype)
    values[200, 100] = bad
    for source in (values, Image.fromarray(values.astype(np.float32)), tiff(values)):
        with pytest.raises(PhotoError, match="values"):
            as_photo(source)


def test_wide_pictures_are_not_copied_whole() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (2000, 1500, 3), np.uint16)
    tracemalloc.start()
    as_photo(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * values.size  # the 8-bit answer, and a band


@settings(deadline=None, max_examples=150)
@given(
    arrays.arrays(
        st.sampled_from([np.dtype(name) for name in ("bool", "uint8", "int8", *INTEGERS, *FLOATS)]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=6),
    )
)
def test_any_array_is_a_photo_or_a_photo_error(array: npt.NDArray[Any]) -> None:
    try:
        photo = as_photo(array)
    except PhotoError:
        return
    assert photo.pixels.shape[:2] == array.shape[:2]
