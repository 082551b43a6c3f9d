"""What is painted in a mask picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io import load_mask
from spiralage.types import Mask, Pixels

WHERE: Mask = np.zeros((256, 256), np.bool_)
WHERE[150:220, 60:200] = True
WHITE = np.where(WHERE, np.uint8(255), np.uint8(0))
OPAQUE = np.full((256, 256), 255, np.uint8)


def rgba(gray: Pixels, alpha: Pixels) -> Image.Image:
    return Image.fromarray(np.dstack([gray, gray, gray, alpha]))


def palette(transparent: int | None, colour: tuple[int, int, int] = (255, 255, 255)) -> bytes:
    image = Image.fromarray(WHERE.astype(np.uint8)).convert("P")
    image.putdata(WHERE.ravel().astype(int).tolist())
    image.putpalette([0, 0, 0, *colour])
    return encoded(image) if transparent is None else encoded(image, transparency=transparent)


def coloured(colour: tuple[int, int, int], where: Mask = WHERE) -> bytes:
    """Such a brush on opaque black."""
    return encoded(Image.fromarray(where[..., None] * np.array(colour, np.uint8)))


def brush(colour: int, alpha: int) -> bytes:
    """Such a brush on a transparent layer."""
    return encoded(rgba(WHERE * np.uint8(colour), WHERE * np.uint8(alpha)))


def wide_layer(values: Pixels, alpha: Pixels) -> bytes:
    """RGBA of 16 bits with these very numbers."""
    return bytes(cv2.imencode(".png", np.dstack([values, values, values, alpha]).astype(np.uint16))[1])


ONES = WHERE.astype(np.uint8)

MASKS = {
    "white brush of alpha 127": brush(255, 127),
    "white brush of alpha 100": brush(255, 100),
    "white brush of alpha 50": brush(255, 50),
    "black brush of alpha 100": brush(0, 100),
    "red on black": coloured((255, 0, 0)),
    "green on black": coloured((0, 255, 0)),
    "blue on black": coloured((0, 0, 200)),
    "dark red on black": coloured((100, 0, 0)),
    "maroon of a palette": palette(None, (128, 0, 0)),
    "dark red of a palette": palette(None, (64, 0, 0)),
    "two dark reds of labels": encoded(
        Image.fromarray(WHERE[..., None] * np.repeat(np.array([[64, 0, 0], [128, 0, 0]], np.uint8), 128, axis=0))
    ),
    "0 and 2": encoded(Image.fromarray(ONES * 2)),
    "0 and 2 in 16 bits": encoded(Image.fromarray(ONES.astype(np.uint16) * 2)),
    "0 and 2 in 32 bits": encoded(Image.fromarray(ONES.astype(np.int32) * 2), "TIFF"),
    "0 and 100": encoded(Image.fromarray(ONES * 100)),
    "labels 0, 1 and 2": encoded(Image.fromarray(ONES * 2 - (ONES & (np.arange(256) % 2)).astype(np.uint8))),
    "RGB of 0 and 1": encoded(Image.fromarray(np.dstack([ONES] * 3))),
    "RGBA of 0 and 1": encoded(rgba(ONES, ONES)),
    "RGBA of 0 and 1, alpha 1": encoded(rgba(ONES, OPAQUE // 255)),
    "RGBA of 0 and 1, opaque": encoded(rgba(ONES, OPAQUE)),
    "RGBA of 1, alpha 0 and 1": encoded(rgba(OPAQUE // 255, ONES)),
    "RGBA of 0 and 1 in 16 bits": wide_layer(ONES, ONES),
    "RGBA of 0 and 1 in 16 bits, alpha 1": wide_layer(ONES, OPAQUE // 255),
    "gray": encoded(Image.fromarray(WHITE)),
    "RGB": encoded(Image.fromarray(np.dstack([WHITE] * 3))),
    "JPEG": encoded(Image.fromarray(WHITE), "JPEG", quality=100),
    "1 bit": encoded(Image.fromarray(WHERE)),
    "0 and 1": encoded(Image.fromarray(WHERE.astype(np.uint8))),
    "16 bits": encoded(Image.fromarray(WHITE.astype(np.uint16) * 257)),
    "0 and 1 in 16 bits": encoded(Image.fromarray(WHERE.astype(np.uint16))),
    "float to 1": encoded(Image.fromarray(WHERE.astype(np.float32)), "TIFF"),
    "float to 255": encoded(Image.fromarray(WHITE.astype(np.float32)), "TIFF"),
    "grays": encoded(Image.fromarray(np.where(WHERE, np.uint8(128), np.uint8(127)))),
    "palette": palette(None),
    "palette, black transparent": palette(0),
    "black and white, opaque": encoded(rgba(WHITE, OPAQUE)),
    "white on transparent white": encoded(rgba(OPAQUE, WHITE)),
    "white on transparent black": encoded(rgba(WHITE, WHITE)),
    "gray and alpha": encoded(rgba(OPAQUE, WHITE).convert("LA")),
    "gray and alpha, opaque": encoded(rgba(WHITE, OPAQUE).convert("LA")),
    "black on transparent": encoded(rgba(OPAQUE * np.uint8(0), WHITE)),
    "red on transparent": encoded(Image.fromarray(np.dstack([OPAQUE, OPAQUE * 0, OPAQUE * 0, WHITE]))),
    "soft brush": encoded(rgba(OPAQUE, np.where(WHERE, np.uint8(128), np.uint8(127)))),
    "WebP layer": encoded(rgba(OPAQUE, WHITE), "WEBP", lossless=True),
    "TIFF layer": encoded(rgba(OPAQUE, WHITE), "TIFF"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_what_is_painted_is_hidden_and_nothing_else(kind: str) -> None:
    np.testing.assert_array_equal(load_mask(MASKS[kind]), WHERE)


def test_black_and_white_on_a_layer_with_holes() -> None:
    alpha = OPAQUE.copy()
    alpha[:20] = 0
    mask = load_mask(encoded(rgba(np.maximum(WHITE, 255 - alpha), alpha)))
    np.testing.assert_array_equal(mask, WHERE)


def test_a_path_and_all_white(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(MASKS["white on transparent white"])
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png"), WHERE)
    assert load_mask(encoded(Image.fromarray(OPAQUE))).all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "I;16", "F"])
def test_a_mask_that_hides_nothing_is_refused(mode: str) -> None:
    with pytest.raises(PhotoError, match=r"^empty: the mask hides nothing; paint white what is hidden"):
        load_mask(encoded(Image.new(mode, (256, 256), 0), "TIFF" if mode == "F" else "PNG"), name="empty")


def test_an_empty_layer_is_refused() -> None:
    with pytest.raises(PhotoError, match="hides nothing"):
        load_mask(encoded(rgba(OPAQUE, OPAQUE * np.uint8(0))))
    with pytest.raises(PhotoError, match="hides nothing"):
        load_mask(encoded(rgba(OPAQUE * np.uint8(0), OPAQUE)))


def test_what_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"^small: 4×3 pixels; a mask must have 256×256, as a crop"):
        load_mask(encoded(Image.new("L", (4, 3))), name="small")
    with pytest.raises(PhotoError, match="no such file"):
        load_mask(tmp_path / "mask.png")
    with pytest.raises(PhotoError, match="empty"):
        load_mask(b"")
    with pytest.raises(PhotoError, match="values"):
        load_mask(encoded(Image.fromarray(np.full((256, 256), np.nan, np.float32)), "TIFF"))
