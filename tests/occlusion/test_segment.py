from __future__ import annotations

import numpy as np
import pytest

from spiralage.faces.align import align
from spiralage.occlusion.segment import find_occlusion, nothing_hidden
from spiralage.types import AlignedFace, Box, Face, Photo


@pytest.fixture
def half_outside() -> AlignedFace:
    """A face whose left half lies beyond the photo's edge."""
    return align(Photo(np.full((200, 200, 3), 90, np.uint8)), Face(Box(-100, 0, 200, 200)))


def test_what_lies_beyond_the_photo_is_hidden(half_outside: AlignedFace) -> None:
    found = find_occlusion(half_outside)
    assert found.kind == "frame"
    assert found.fraction == pytest.approx(0.5, abs=0.005)
    assert found.mask[:, :127].all()
    assert not found.mask[:, 129:].any()
    np.testing.assert_array_equal(found.mask, ~half_outside.inside)


def test_nothing_is_hidden_in_a_whole_face(portrait_crop: AlignedFace) -> None:
    found = find_occlusion(portrait_crop)
    assert found.kind == "none"
    assert found.fraction == 0


def test_everything_is_hidden_beside_the_photo() -> None:
    aligned = align(Photo(np.full((50, 50, 3), 90, np.uint8)), Face(Box(500, 500, 20, 20)))
    assert find_occlusion(aligned).fraction == 1


def test_the_crop_may_be_taken_as_it_is(half_outside: AlignedFace) -> None:
    taken = nothing_hidden(half_outside)
    assert taken.kind == "none"
    assert taken.fraction == 0
    assert not half_outside.inside.all()
