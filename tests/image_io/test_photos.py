"""What pictures become: upright, 8-bit, RGB; and what is refused, by name."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from pictures import encoded, noise, quarters
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io import as_photo, formats, list_pictures, load_photo, opening, photo_from_image
from spiralage.types import Photo, Pixels

ORIENTATION = 0x0112


# By the EXIF standard: which side of the scene the stored first row and first column show.
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_rotation_is_applied(orientation: int, kind: str) -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](quarters())))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = load_photo(encoded(image, kind, exif=exif, quality=95))
    assert photo.size == (96, 64)
    off = np.abs(photo.pixels.astype(int) - quarters())
    # JPEG and WebP bleed where colours meet; the insides of the quarters must match.
    assert off[4:28, 4:44].max() <= 12
    assert off[36:60, 52:92].max() <= 12
    assert off.mean() < 3


def test_exif_rotation_of_an_image_in_hand() -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[6](quarters())))
    image.getexif()[ORIENTATION] = 6
    np.testing.assert_array_equal(photo_from_image(image, "mine").pixels, quarters())
    assert photo_from_image(image, "mine").name == "mine"


def test_the_rotation_tag_is_not_applied_twice() -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[8](quarters())))
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    once = load_photo(encoded(image, exif=exif))
    np.testing.assert_array_equal(photo_from_image(Image.fromarray(once.pixels)).pixels, once.pixels)


def one_row(source: bytes) -> list[list[int]]:
    """The pixels of a picture of one row."""
    pixels = load_photo(source).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape[0] == 1
    assert pixels.shape[2] == 3
    rows: list[list[int]] = pixels[0].tolist()
    return rows


def cv2_png(values: npt.NDArray[Any]) -> bytes:
    done, data = cv2.imencode(".png", values)
    assert done
    return bytes(data.tobytes())


def test_gray() -> None:
    assert one_row(encoded(Image.fromarray(np.array([[0, 7, 255]], np.uint8)))) == [[v] * 3 for v in (0, 7, 255)]


def test_black_and_white() -> None:
    assert one_row(encoded(Image.fromarray(np.array([[False, True]])))) == [[0] * 3, [255] * 3]


def test_16_bit_gray_keeps_its_whole_range() -> None:
    values = np.array([[0, 257, 0x8000, 65535]], np.uint16)
    assert one_row(cv2_png(values)) == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]
    assert one_row(b"P5 4 1 65535\n" + values.astype(">u2").tobytes()) == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]
    assert one_row(encoded(Image.fromarray(values), "TIFF")) == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_16_bit_colour() -> None:
    rgb = np.array([[[65535, 0x8000, 0], [257, 514, 40 * 257]]], np.uint16)
    for data in (cv2_png(rgb[..., ::-1]), b"P6 2 1 65535\n" + rgb.astype(">u2").tobytes()):
        np.testing.assert_allclose(one_row(data), [[255, 128, 0], [1, 2, 40]], atol=1)


def test_float_gray_between_0_and_1() -> None:
    data = encoded(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF")
    assert one_row(data) == [[0] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, 16:32] = 0, 255, 255, 0  # magenta and yellow are red
    inks[:, 32:] = 0, 0, 0, 255
    photo = load_photo(encoded(Image.fromarray(inks, "CMYK"), kind))
    np.testing.assert_allclose(photo.pixels[8, [8, 24, 40]], [(255, 255, 255), (255, 0, 0), (0, 0, 0)], atol=6)


def test_alpha_is_laid_on_white() -> None:
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
    expected = [[255, 255, 255], [10, 20, 30], [204, 204, 204]]
    np.testing.assert_allclose(one_row(encoded(Image.fromarray(rgba))), expected, atol=1)
    np.testing.assert_allclose(one_row(encoded(Image.fromarray(rgba), "WEBP", lossless=True)), expected, atol=1)


def test_gray_alpha_is_laid_on_white() -> None:
    values = np.array([[[10, 0], [10, 255]]], np.uint8)
    assert one_row(encoded(Image.fromarray(values))) == [[255] * 3, [10] * 3]


def palette_picture() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putdata([0, 1, 2])
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    return image


def test_palette() -> None:
    assert one_row(encoded(palette_picture())) == [[200, 0, 0], [0, 200, 0], [0, 0, 200]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entry_is_white(kind: str) -> None:
    data = encoded(palette_picture(), kind, transparency=1)
    assert one_row(data) == [[200, 0, 0], [255, 255, 255], [0, 0, 200]]


def test_transparent_colour_is_white() -> None:
    image = Image.fromarray(np.array([[[9, 9, 9], [8, 9, 9]]], np.uint8))
    assert one_row(encoded(image, transparency=(9, 9, 9))) == [[255, 255, 255], [8, 9, 9]]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (8, 4), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = load_photo(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert photo.size == (8, 4)
    np.testing.assert_allclose(photo.pixels.reshape(-1, 3), [(255, 0, 0)] * 32, atol=1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(kind: str, kept: float, tmp_path: Path) -> None:
    data = encoded(noise(), kind)
    assert load_photo(data).size == (128, 128)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(PhotoError, match=r"cut\.jpg: ") as caught:
        load_photo(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 8, 16, 20, 30, 40, 100, 200, 400])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_a_header_cut_short_is_refused(kind: str, at: int) -> None:
    with pytest.raises(PhotoError):
        load_photo(encoded(noise(32), kind)[:at])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_flipped_bytes_give_a_photo_or_a_photo_error(kind: str) -> None:
    rng = np.random.default_rng(1)
    whole = np.frombuffer(encoded(noise(24), kind), np.uint8)
    for _ in range(60):
        data = whole.copy()
        places = rng.integers(0, min(len(data), 300), 4)
        data[places] = rng.integers(0, 256, 4)
        with contextlib.suppress(PhotoError):
            assert isinstance(load_photo(data.tobytes()), Photo)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PhotoError, match=r"empty\.jpg: the file is empty \(0 bytes\)"):
        load_photo(tmp_path / "empty.jpg")
    with pytest.raises(PhotoError, match=r"^upload: the file is empty"):
        load_photo(b"", name="upload")


def test_other_files_are_not_pictures(tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear reader,\n" * 50)
    with pytest.raises(PhotoError, match=r"letter\.jpg: not a picture"):
        load_photo(tmp_path / "letter.jpg")


def test_formats_that_need_other_programs_are_not_opened() -> None:
    with pytest.raises(PhotoError, match="not a picture"):
        load_photo(encoded(noise(8), "EPS"))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"none\.jpg: no such file"):
        load_photo(tmp_path / "none.jpg")


def test_a_folder_is_not_a_photo(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="not a file"):
        load_photo(tmp_path)


def test_a_path_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PhotoError):
        load_photo(tmp_path / "file" / "photo.jpg")


@pytest.mark.parametrize("name", ["a" * 300 + ".jpg", "nul\0byte.jpg"])
def test_an_impossible_name_is_a_photo_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(PhotoError):
        load_photo(tmp_path / name)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "secret.jpg").write_bytes(encoded(noise(8)))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PhotoError, match=r"secret\.jpg: can't be read \(Permission denied\)"):
        load_photo(tmp_path / "secret.jpg")


ODD_NAMES = [
    "日本 né ü.png",
    "#1 %20 & 'quote'.png",
    "[red]x[1].png",
    "-rf.png",
    "new\nline.png",
    "a.b..png",
    "{0}.png",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(Image.fromarray(quarters())))
    assert list(list_pictures([tmp_path])) == [path]
    photo = load_photo(path)
    assert photo.name == str(path)
    np.testing.assert_array_equal(photo.pixels, quarters())
    np.testing.assert_array_equal(load_photo(str(path)).pixels, quarters())


def test_the_name_of_bytes() -> None:
    data = encoded(noise(8))
    assert load_photo(data).name == "photo"
    assert load_photo(data, name="upload 3").name == "upload 3"


def heif(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


def test_avif_and_heif() -> None:
    for data in (encoded(Image.fromarray(quarters()), "AVIF", quality=95), heif(Image.fromarray(quarters()))):
        photo = load_photo(data)
        assert photo.size == (96, 64)
        assert np.abs(photo.pixels.astype(int) - quarters())[4:28, 4:44].max() <= 12


def test_the_memory_of_heif_is_worked_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heif(noise(64), chroma=444)
    monkeypatch.setattr(formats, "MAX_MEMORY", 11 * 64 * 64)
    assert load_photo(data).size == (64, 64)
    monkeypatch.setattr(formats, "MAX_MEMORY", 10 * 64 * 64)
    with pytest.raises(PhotoError, match=r"64×64 pixels .* would take"):
        load_photo(data)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_the_container_tells_the_orientation_of_avif_and_heif(kind: str) -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[6](quarters())))
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    data = encoded(image, "AVIF", exif=tags, quality=95) if kind == "AVIF" else heif(image, exif=tags.tobytes())
    photo = load_photo(data)
    assert photo.size == (96, 64)
    assert np.abs(photo.pixels.astype(int) - quarters())[4:28, 4:44].max() <= 12


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_damaged_avif_and_heif_give_a_photo_or_a_photo_error(kind: str) -> None:
    rng = np.random.default_rng(2)
    whole = np.frombuffer(encoded(noise(24), "AVIF") if kind == "AVIF" else heif(noise(24)), np.uint8)
    for _ in range(40):
        data = whole.copy()
        places = rng.integers(0, len(data), 3)
        data[places] = rng.integers(0, 256, 3)
        with contextlib.suppress(PhotoError):
            assert isinstance(load_photo(data.tobytes()[: rng.integers(1, 2 * len(data))]), Photo)


@pytest.mark.parametrize(
    ("start", "format_"), [(b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"), (b"8BPS\0\1", "Photoshop")]
)
def test_pictures_of_other_formats_are_named(start: bytes, format_: str) -> None:
    with pytest.raises(PhotoError, match=f"a {format_} picture, which can't be read; save it as JPEG"):
        load_photo(start + bytes(64))


def test_a_cameras_raw_file_is_not_read_by_its_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "photo.DNG").write_bytes(encoded(noise(8), "TIFF"))
    with pytest.raises(PhotoError, match=r"photo\.DNG: a camera's raw file"):
        load_photo(tmp_path / "photo.DNG")


def test_what_can_be_handed_over(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(quarters()))
    (tmp_path / "a.png").write_bytes(data)
    at_its_end = io.BytesIO(data)
    at_its_end.seek(0, io.SEEK_END)
    with (tmp_path / "a.png").open("rb") as file:
        for source in (
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            at_its_end,
            file,
            tmp_path / "a.png",
            str(tmp_path / "a.png"),
            quarters(),
            memoryview(quarters()),  # type: ignore[arg-type]
            Image.open(io.BytesIO(data)),
            load_photo(data),
        ):
            np.testing.assert_array_equal(as_photo(source).pixels, quarters())


def test_names_of_what_is_handed_over(tmp_path: Path) -> None:
    data = encoded(noise(8))
    (tmp_path / "a.png").write_bytes(data)
    with (tmp_path / "a.png").open("rb") as file:
        assert as_photo(file).name == str(tmp_path / "a.png")
    assert as_photo(io.BytesIO(data)).name == "photo"
    assert as_photo(io.BytesIO(data), name="upload").name == "upload"


def closed_image() -> Image.Image:
    image = Image.open(io.BytesIO(encoded(noise(8))))
    image.close()
    return image


def closed_file() -> io.BytesIO:
    file = io.BytesIO(encoded(noise(8)))
    file.close()
    return file


class Endless:
    def read(self, size: int) -> bytes:
        return bytes(size)


class Failing:
    def read(self, size: int) -> bytes:
        raise RuntimeError("the connection\nwas lost")


class OddPath:
    """Path-like, but for what it answers."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __fspath__(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Fixed:
    """An object with these attributes."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


class RaisingRead:
    @property
    def read(self) -> Any:
        raise RuntimeError("not\nnow")


class RaisingArray:
    @property
    def __array__(self) -> Any:
        raise RuntimeError("not now")


class RaisingName(io.BytesIO):
    @property
    def name(self) -> Any:
        raise OSError("no name")


def released() -> memoryview:
    view = memoryview(encoded(noise(8)))
    view.release()
    return view


NO_PICTURES: list[Any] = [
    released(),
    OddPath(7),
    OddPath(None),
    OddPath(b"bytes"),
    OddPath(RuntimeError("not\nnow")),
    Fixed(read=5),
    Fixed(read=None),
    Fixed(read=lambda size: b"", seek=5),
    Fixed(read=lambda size: b"", seek=lambda at: 0, seekable=5),
    Fixed(__array__=5),
    Fixed(__array_interface__=5),
    RaisingRead(),
    RaisingArray(),
    RaisingName(b"no picture"),
    None,
    [[1]],
    7,
    {"a": 1},
    "",
    "no such path",
    "x" * 100_000,
    "nul\0",
    b"",
    bytearray(),
    io.BytesIO(),
    io.StringIO("text"),
    closed_file(),
    Failing(),
    Image.new("RGB", (0, 0)),
    Image.new("RGB", (0, 7)),
    closed_image(),
    np.zeros((0, 4, 3), np.uint8),
    np.zeros((4, 4, 5), np.uint8),
    np.zeros((3, 8, 8), np.uint8),
    np.zeros(7, np.uint8),
    np.uint8(1),
    np.zeros((2, 2, 2, 2), np.uint8),
    np.full((4, 4, 3), np.nan),
    np.full((4, 4, 3), np.inf),
    np.full((4, 4), -1),
    np.full((4, 4), 1e9),
    np.array([[b"a"]]),
    np.array([[None]]),
    np.zeros((4, 4), complex),
]


@pytest.mark.parametrize("source", NO_PICTURES, ids=lambda source: type(source).__name__)
def test_what_is_no_picture_is_one_clear_error(source: Any) -> None:
    with pytest.raises(PhotoError) as caught:
        as_photo(source)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_endless_stream_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_STREAM_BYTES", 2**22)
    with pytest.raises(PhotoError, match="over 4 MB come from it"):
        as_photo(Endless())  # type: ignore[arg-type]


MODES = ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "RGBX", "I;16"]
TRANSPARENT = ["LA", "PA", "RGBA", "RGBa", "La"]


@pytest.mark.parametrize("mode", MODES + TRANSPARENT)
def test_pil_images_of_every_mode(mode: str) -> None:
    pixels = as_photo(Image.new(mode, (5, 4))).pixels
    assert pixels.shape == (4, 5, 3)
    if mode in TRANSPARENT:
        assert pixels.min() == 255  # on white


def stdin_photo(shell: str) -> str:
    code = (
        "from spiralage.errors import PhotoError\nfrom spiralage.image_io import read_stdin_photo\n"
        "try: photo = read_stdin_photo(); print(photo.name, photo.size)\nexcept PhotoError as error: print(error)"
    )
    command = ["sh", "-c", f"exec {sys.executable} -c '{code}' {shell}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_photo_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(encoded(noise(8)))
    assert stdin_photo(f"< {tmp_path / 'in'}") == "- (8, 8)"
    assert stdin_photo("< /dev/null").startswith("-: the file is empty")
    assert stdin_photo("<&-").startswith("-: standard input is closed")
