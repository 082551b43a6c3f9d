"""Only the orientation is read of EXIF and XMP; whatever else is there, or is damaged, doesn't matter."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import chunk, encoded, exif, noise, png, quarters
from PIL import Image, ImageOps

from spiralage.image_io import as_photo, load_photo
from spiralage.image_io.orientation import exif_orientation, orientation_of, valid

ODD_TAGS = [
    (0x0213, 11, 1, struct.pack("<f", 1.5)),  # YCbCrPositioning as a float
    (0x010F, 3, 1, b"\1\0\0\0"),  # Make as a number
    (0x011A, 2, 1, b"x\0\0\0"),  # XResolution as text
    (0x8769, 2, 1, b"y\0\0\0"),  # where the EXIF folder is, as text
    (0x8825, 5, 1, b"\xff\xff\xff\xff"),  # GPS beyond the end
    (0x9999, 77, 1, bytes(4)),  # no type
    (0x0132, 2, 2**32 - 1, b"\xff\xff\xff\x7f"),
]


def turned_jpeg(data: bytes) -> bytes:
    """The quarters as a phone stores them, turned by orientation 6, with this EXIF."""
    jpeg = encoded(Image.fromarray(np.rot90(quarters())), "JPEG", quality=95)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


@pytest.mark.parametrize("odd", ODD_TAGS, ids=lambda tag: f"{tag[0]:#x}")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_tags_of_a_wrong_type_do_not_matter(kind: str, odd: tuple[int, int, int, bytes]) -> None:
    data = exif(6, odd)
    image = Image.fromarray(np.rot90(quarters()))
    if kind == "JPEG":
        file = turned_jpeg(data)
    elif kind == "PNG":
        head, _, rest = encoded(image).partition(b"\0\0\0\rIHDR")
        file = head + b"\0\0\0\rIHDR" + rest[:17] + chunk(b"eXIf", data[6:]) + rest[17:]
    elif kind == "WEBP":
        file = encoded(image, "WEBP", exif=data, lossless=True)
    else:
        file = encoded(image, "AVIF", exif=exif(6, (0x0100, 4, 1, b"\7\0\0\0")), quality=95)
        (entry,) = re.findall(rb"\x00\x01[\x03\x04]\x00\x01\x00\x00\x00\x07\x00\x00\x00", file)
        file = file.replace(entry, struct.pack("<HHI", *odd[:3]) + odd[3])
    photo = load_photo(file)
    assert photo.size == (96, 64)


def test_a_tiffs_tags_of_a_wrong_type_do_not_matter() -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x0213] = 6, 1
    data = encoded(Image.fromarray(np.rot90(quarters())), "TIFF", exif=tags)
    at = data.index(struct.pack("<HHI", 0x0213, 3, 1))
    odd = data[:at] + struct.pack("<HHIf", 0x0213, 11, 1, 1.5) + data[at + 12 :]
    np.testing.assert_array_equal(load_photo(odd).pixels, quarters())


def test_an_image_in_hand_with_odd_tags() -> None:
    image = Image.open(io.BytesIO(turned_jpeg(exif(6, ODD_TAGS[0]))))
    assert as_photo(image).size == (96, 64)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_both_byte_orders(orientation: int, order: str) -> None:
    assert exif_orientation(exif(orientation, order=order)) == orientation
    assert orientation_of({"exif": exif(orientation, order=order)}) == orientation


@pytest.mark.parametrize(
    ("kind", "value"), [(1, b"\6\0\0\0"), (3, b"\6\0\0\0"), (4, b"\6\0\0\0"), (11, struct.pack("<f", 6))]
)
def test_an_orientation_of_any_type_of_number(kind: int, value: bytes) -> None:
    data = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHI", 0x0112, kind, 1) + value + bytes(4)
    assert orientation_of({"exif": data}) == 6


TAGS = {
    "SHORT": (3, 1, b"\6\0\0\0"),
    "2 SHORT": (3, 2, b"\6\0\0\0"),
    "2 SHORT, the second first": (3, 2, b"\0\0\6\0"),
    "4 SHORT": (3, 4, struct.pack("<I", 30)),
    "BYTE": (1, 1, b"\6\0\0\0"),
    "2 BYTE": (1, 2, b"\6\1\0\0"),
    "SIGNED BYTE": (6, 1, b"\6\0\0\0"),
    "UNDEFINED": (7, 1, b"\6\0\0\0"),
    "LONG": (4, 1, b"\6\0\0\0"),
    "2 LONG": (4, 2, struct.pack("<I", 26)),
    "FLOAT": (11, 1, struct.pack("<f", 6)),
    "DOUBLE": (12, 1, struct.pack("<I", 34)),
    "ASCII": (2, 2, b"6\0\0\0"),
    "RATIONAL": (5, 1, struct.pack("<I", 26)),
    "no type": (99, 1, b"\6\0\0\0"),
    "9": (3, 1, b"\x09\0\0\0"),
}
UPRIGHT_TAGS = {"2 SHORT, the second first", "ASCII", "RATIONAL", "no type", "9"}


@pytest.mark.parametrize("tag", TAGS)
def test_bytes_and_an_image_in_hand_agree_on_any_tag(tag: str) -> None:
    kind, count, value = TAGS[tag]
    numbers = struct.pack("<IHHd", 6, 6, 0, 6.0)  # from 26 on: a LONG, then two SHORT, then a DOUBLE
    body = struct.pack("<HHI", 0x0112, kind, count) + value + bytes(4)
    file = turned_jpeg(b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + body + numbers)
    size = (64, 96) if tag in UPRIGHT_TAGS else (96, 64)
    assert load_photo(file).size == size
    assert as_photo(Image.open(io.BytesIO(file))).size == size


XMPS = {
    b'<x tiff:Orientation="6"/>': 6,
    b"<x tiff:Orientation='6'/>": 6,
    b'<x tiff:Orientation = "6"/>': 6,
    b"<x tiff:Orientation\n=\n' 6 '/>": 6,
    b"<tiff:Orientation>6</tiff:Orientation>": 6,
    b"<tiff:Orientation> 6 </tiff:Orientation>": 6,
    b"<tiff:Orientation>\n6\n</tiff:Orientation>": 6,
    b'<x tiff:Orientation="66"/>': 1,
    b"<tiff:Orientation>66</tiff:Orientation>": 1,
    b'<x tiff:Orientation="9"/>': 1,
    b'<x tiff:Orientation=""/>': 1,
    b'<x tiff:Orientation="6': 1,
}


@pytest.mark.parametrize("xmp", XMPS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_bytes_and_an_image_in_hand_agree_on_xmp(kind: str, xmp: bytes) -> None:
    assert orientation_of({"xmp": xmp}) == XMPS[xmp]
    image = Image.fromarray(np.rot90(quarters()))
    if kind == "PNG":
        head = encoded(image)
        file = head[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) + head[33:]
    else:
        file = encoded(image, kind, xmp=xmp)
    size = (96, 64) if XMPS[xmp] == 6 else (64, 96)
    assert load_photo(file).size == size
    assert as_photo(Image.open(io.BytesIO(file))).size == size


def test_the_owner_of_an_image_has_the_last_word() -> None:
    image = Image.open(io.BytesIO(encoded(Image.fromarray(quarters()), xmp=b'<x tiff:Orientation="66"/>')))
    image.getexif()[0x0112] = 8
    assert as_photo(image).size == (64, 96)
    image = Image.open(io.BytesIO(turned_jpeg(exif(6))))
    assert as_photo(ImageOps.exif_transpose(image)).size == (96, 64)


@pytest.mark.parametrize("value", [0, 9, -1, 6.5, float("nan"), "6", b"", None, (), ((6,),), 2**40])
def test_what_is_no_orientation_is_upright(value: object) -> None:
    assert valid(value) == 1


def test_xmp_and_imagemagicks_profile_tell_it_where_exif_does_not() -> None:
    xmp = '<rdf:Description tiff:Orientation="6"/>'
    assert orientation_of({"XML:com.adobe.xmp": xmp}) == 6
    assert orientation_of({"xmp": xmp.encode()}) == 6
    assert orientation_of({"xmp": xmp.encode(), "exif": exif(3)}) == 3
    assert orientation_of({"xmp": b"<tiff:Orientation>8</tiff:Orientation>"}) == 8
    assert orientation_of({"Raw profile type exif": "\nexif\n 40\n" + exif(6).hex()}) == 6
    assert orientation_of({"Raw profile type exif": "no hexadecimals"}) == 1
    assert orientation_of({}) == 1


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_exif_is_as_if_there_were_none(data: st.DataObject) -> None:
    damaged = bytearray(exif(6, *ODD_TAGS[:3]))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    assert orientation_of({"exif": cut}) in range(1, 9)
    assert load_photo(turned_jpeg(cut)).pixels.size == quarters().size


def test_a_png_without_exif_is_upright() -> None:
    assert load_photo(png(4, 2, data=bytes(13 * 2))).size == (4, 2)
    assert load_photo(encoded(noise(8))).size == (8, 8)
