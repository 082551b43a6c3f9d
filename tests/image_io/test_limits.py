"""No file takes more than 1 GB and 10 seconds: each is read in a process of its own, and what it took is measured."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import chunk, cost_of, encoded, noise, png, tiff
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io import codecs, formats, load_photo, opening, photo_from_image
from spiralage.image_io.opening import Guarded, TooMuchWorkError

MEMORY = 1_000_000_000
SECONDS = 10.0


def jpeg_of_many_scans() -> bytes:
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * 2000 + b"\xff\xd9"


def jpeg_of_size(width: int, height: int) -> bytes:
    return encoded(Image.new("RGB", (64, 64)), "JPEG").replace(
        struct.pack(">HH", 64, 64), struct.pack(">HH", height, width)
    )


def jpeg_with_segments(segment: bytes, times: int) -> bytes:
    data = encoded(Image.new("RGB", (64, 64)), "JPEG")
    return data[:2] + segment * times + data[2:]


def webp_lossless(width: int, height: int) -> bytes:
    body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(9)
    return b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<I", 14) + body


def webp_animated(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + sides


def gif_of_size(width: int, height: int) -> bytes:
    data = encoded(Image.new("P", (64, 64)), "GIF")
    at = data.index(b",")
    sides = struct.pack("<HH", width, height)
    return data[:6] + sides + data[10:at] + b"," + bytes(4) + sides + data[at + 9 :]


def gif_with_comments(times: int) -> bytes:
    data = encoded(Image.new("P", (64, 64)), "GIF")
    at = data.index(b",")
    return data[:at] + b"\x21\xfe" + (b"\xff" + b"a" * 255) * times + b"\0" + data[at:]


def bmp(width: int, height: int, *, bits: int = 24, packing: int = 0, data: bytes = b"") -> bytes:
    colours = bytes(1024) if bits <= 8 else b""
    start = 54 + len(colours)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, len(data), 2835, 2835, 256, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + info + colours + data


TIFF_TAGS = {
    256: (3, 1, 64),
    257: (3, 1, 64),
    258: (3, 1, 8),
    259: (3, 1, 1),
    262: (3, 1, 1),
    273: (4, 1, 200),
    277: (3, 1, 1),
    278: (4, 1, 64),
    279: (4, 1, 4096),
}

MANY_ZEROS = zlib.compress(bytes(1_000_000), 9)

BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG 1×10⁸": lambda: png(1, 10**8),
    "PNG 10⁸×1": lambda: png(10**8, 1),
    "PNG 60000×60000 of 1 bit": lambda: png(60_000, 60_000, bits=1, colour=0),
    "PNG with 3 GB of text": lambda: png(8, 8, extra=chunk(b"zTXt", b"k\0\0" + MANY_ZEROS) * 3000),
    "PNG with a colour profile of 100 MB": lambda: png(
        8, 8, extra=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(10**8), 9))
    ),
    "JPEG of 2,000 scans": jpeg_of_many_scans,
    "JPEG 65500×65500": lambda: jpeg_of_size(65_500, 65_500),
    "JPEG 300 megapixels, cut short": lambda: jpeg_of_size(20_000, 15_000),
    "JPEG with 10⁶ comments": lambda: jpeg_with_segments(b"\xff\xfe\0\2", 10**6),
    "JPEG that fills": lambda: jpeg_with_segments(b"\xff", 10**7),
    "WebP 16384×16384 in 34 bytes": lambda: webp_lossless(16384, 16384),
    "WebP animation 16383×16383": lambda: webp_animated(16383, 16383),
    "GIF 65535×65535": lambda: gif_of_size(65535, 65535),
    "GIF 10000×10000": lambda: gif_of_size(10_000, 10_000),
    "GIF with a comment of 25 MB": lambda: gif_with_comments(100_000),
    "BMP 60000×60000": lambda: bmp(60_000, 60_000),
    "BMP of empty runs": lambda: bmp(1500, 1500, bits=8, packing=1, data=b"\0\0\1a" * 1500),
    "BMP 22000×22000 of jumps": lambda: bmp(22_000, 22_000, bits=8, packing=1, data=b"\0\2\xff\xff" * 87 + b"\0\1"),
    "BMP 22000×22000 of jumps, 4 bits": lambda: bmp(
        22_000, 22_000, bits=4, packing=2, data=b"\0\2\xff\xff" * 87 + b"\0\1"
    ),
    "PBM 21000×21000 as text": lambda: b"P1 21000 21000\n" + b"1" * 1_000_000,
    "PGM 14000×14000 in 16 bits of its own": lambda: b"P5 14000 14000 1000\n" + bytes(300),
    "PPM 60000×60000": lambda: b"P6 60000 60000 255\n" + bytes(300),
    "PFM 10000×10000": lambda: b"Pf 10000 10000 -1\n" + bytes(300),
    "TIFF 4·10⁹ a side": lambda: tiff(TIFF_TAGS | {256: (4, 1, 4 * 10**9), 257: (4, 1, 4 * 10**9)}),
    "TIFF with a tile of 3.6 GB": lambda: tiff(
        TIFF_TAGS | {259: (3, 1, 5), 322: (4, 1, 60_000), 323: (4, 1, 60_000), 324: (4, 1, 200), 325: (4, 1, 9)}
    ),
    "TIFF with 4·10⁶ strips": lambda: tiff(
        TIFF_TAGS | {273: (4, 4_000_000, 300), 279: (4, 4_000_000, 300), 278: (4, 1, 1)}, bytes(16_000_400)
    ),
    "TIFF whose tags lie on each other": lambda: tiff(
        TIFF_TAGS | dict.fromkeys(range(30000, 31000), (7, 4000000, 100)), bytes(4_000_000)
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_file_takes_little(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name]())
    cost = cost_of(path)
    assert cost.memory < MEMORY, cost
    assert cost.seconds < SECONDS, cost
    assert "\n" not in cost.answer


def test_the_smallest_bombs_are_refused_by_their_size() -> None:
    with pytest.raises(PhotoError, match=r"^tall: 1×100000000 pixels is over the limit of 65535 a side; scale it down"):
        load_photo(png(1, 10**8), name="tall")
    with pytest.raises(PhotoError, match=r"16384×16384 pixels \(268 megapixels\) would take 4\.3 GB to decode"):
        load_photo(webp_lossless(16384, 16384))
    with pytest.raises(PhotoError, match="in 2010 scans take too long to read"):
        load_photo(jpeg_of_many_scans())


def test_a_progressive_photo_is_no_bomb() -> None:
    image = noise(512)
    thumbnail = encoded(noise(64), "JPEG")
    photo = load_photo(encoded(image, "JPEG", progressive=True, comment=thumbnail))
    assert photo.size == (512, 512)


def test_strips_that_are_one_jpeg_over_and_over() -> None:
    scans = encoded(Image.new("L", (64, 8)), "JPEG", progressive=True)
    tags = TIFF_TAGS | {259: (3, 1, 7), 278: (4, 1, 8), 273: (4, 8, 200), 279: (4, 8, 240)}
    body = struct.pack("<8I", *[300] * 8).rjust(96, b"\0") + bytes(100) + scans
    with pytest.raises(PhotoError):
        load_photo(tiff(tags, body))


def test_a_decoder_in_python_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_SECONDS", 0.05)
    with pytest.raises(PhotoError, match=r"^plain: takes too long to read .*; save it anew as JPEG or PNG"):
        load_photo(b"P3 4000 4000 255\n" + b"1 " * 10_000_000, name="plain")


def test_reading_in_circles_is_ended() -> None:
    guarded = Guarded(io.BytesIO(bytes(10**6)), 10**6)

    def read_again() -> None:
        for _ in range(1000):
            guarded.seek(0)
            guarded.read()

    with pytest.raises(TooMuchWorkError):
        read_again()


@pytest.fixture
def limit_of_48_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_PIXELS", 48)


@pytest.mark.usefixtures("limit_of_48_pixels")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP"])
def test_over_the_limit_a_photo_is_read_reduced(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    small = np.array([[[250, 30, 30], [30, 250, 30], [30, 30, 250]]], np.uint8)
    image = Image.fromarray(small.repeat(8, axis=0).repeat(8, axis=1))  # 24×8 pixels
    options = {"quality": 95} | ({"subsampling": 0} if kind == "JPEG" else {"lossless": True})
    photo = load_photo(encoded(image, kind, **options), name="large")
    assert photo.size == (12, 4)
    assert "large: 24×8 pixels are read as 12×4; places in it count in these" in caplog.text
    np.testing.assert_allclose(photo.pixels[:, ::4], small.repeat(4, axis=0), atol=12)


@pytest.mark.usefixtures("limit_of_48_pixels")
def test_a_reduced_photo_is_upright_and_at_the_limit_none_is_reduced() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    assert load_photo(encoded(noise(32).resize((24, 9)), exif=tags)).size == (3, 8)
    assert load_photo(encoded(noise(32).resize((12, 4)))).size == (12, 4)
    with pytest.raises(PhotoError, match="24×9 pixels is over the limit"):
        photo_from_image(noise(32).resize((24, 9)))


def test_a_phones_200_megapixels(tmp_path: Path) -> None:
    Image.new("RGB", (16320, 12240), (90, 120, 150)).save(tmp_path / "phone.jpg", quality=90)
    cost = cost_of(tmp_path / "phone.jpg")
    assert cost.answer == "6120x8160x3"
    assert cost.memory < MEMORY
    assert cost.seconds < SECONDS


def test_100_megapixels_of_floats(tmp_path: Path) -> None:
    path = tmp_path / "floats.tif"
    Image.new("F", (10_000, 10_000), 0.5).save(path)
    cost = cost_of(path)
    path.unlink()
    assert cost.answer == "10000x10000x3"
    assert cost.memory < MEMORY
    assert cost.seconds < SECONDS


def test_a_file_of_3_terabytes(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.write(encoded(noise(8), "JPEG"))
        try:
            file.truncate(3 * 10**12)
        except OSError:
            pytest.skip("this file system has no sparse files of 3 TB")
    with pytest.raises(PhotoError, match=r"huge\.jpg: 2794\.0 GB is over the limit of 1 GB; scale it down"):
        load_photo(path)


def test_a_device_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="/dev/zero: not a file; give a picture"):
        load_photo("/dev/zero")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError, match=r"pipe\.jpg: not a file; give a picture"):
        load_photo(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("kind", ["AVIF", "WEBP"])
def test_packed_formats_have_a_limit_of_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "PACKED_LIMIT", 100)
    with pytest.raises(PhotoError, match=r"over the limit of .* of this format; save it as JPEG"):
        load_photo(encoded(noise(64), kind))


@pytest.mark.parametrize("bits", [4, 8])
def test_what_is_decoded_in_python_counts_its_copies(bits: int) -> None:
    data = bmp(22_000, 22_000, bits=bits, packing={4: 2, 8: 1}[bits], data=b"\0\1")
    with pytest.raises(PhotoError, match=r"484 megapixels\) would take 1\.9 GB to decode"):
        load_photo(data)
    with pytest.raises(PhotoError, match=r"would take 0\.9 GB to decode"):
        load_photo(b"P3 8300 8300 255\n")
