"""Pillow's warnings are silenced while it decodes, and the filters are what they were afterwards."""

from __future__ import annotations

import threading
import warnings

import pytest
from pictures import encoded, exif, noise, tiff

from spiralage.image_io import load_photo
from spiralage.image_io.quiet import quiet

TAGS = {
    256: (3, 1, 8),
    257: (3, 1, 8),
    258: (3, 1, 8),
    259: (3, 1, 1),
    262: (3, 1, 1),
    273: (4, 1, 200),
    279: (4, 1, 64),
}


def test_the_filters_come_back_whatever_the_order_of_threads() -> None:
    before = list(warnings.filters)
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def first() -> None:
        with quiet:
            first_is_in.set()
            second_is_in.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    first_is_in.wait(5)
    with quiet:
        second_is_in.set()
        thread.join()
    assert list(warnings.filters) == before


def test_nobody_elses_warnings_are_silenced() -> None:
    with quiet, pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_a_photo_with_odd_metadata_warns_of_nothing() -> None:
    odd = exif(6, (0x010E, 2, 2**31, b"\xff\xff\xff\x7f"))
    file = encoded(noise(8), "WEBP", exif=odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_photo(file).size == (8, 8)
        assert load_photo(tiff(TAGS | {0x010E: (2, 2**31, 2**31)}, bytes(200))).size == (8, 8)
