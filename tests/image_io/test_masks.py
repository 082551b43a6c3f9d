"""What is painted in a mask picture."""

from __future__ import annotations

from pathlib import Path

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


def palette(transparent: int | None) -> bytes:
    image = Image.fromarray(WHERE.astype(np.uint8)).convert("P")
    image.putdata(WHERE.ravel().astype(int).tolist())
    image.putpalette([0, 0, 0, 255, 255, 255])
    return encoded(image) if transparent is None else encoded(image, transparency=transparent)


MASKS = {
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


def test_a_path_and_an_empty_layer(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(MASKS["white on transparent white"])
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.png"), WHERE)
    assert not load_mask(encoded(rgba(OPAQUE, OPAQUE * np.uint8(0)))).any()
    assert load_mask(encoded(Image.fromarray(OPAQUE))).all()


def test_what_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"^small: 4×3 pixels; a mask must have 256×256, as a crop"):
        load_mask(encoded(Image.new("L", (4, 3))), name="small")
    with pytest.raises(PhotoError, match="no such file"):
        load_mask(tmp_path / "mask.png")
    with pytest.raises(PhotoError, match="empty"):
        load_mask(b"")
    with pytest.raises(PhotoError, match="values"):
        load_mask(encoded(Image.fromarray(np.full((256, 256), np.nan, np.float32)), "TIFF"))
