"""Each face goes its own way: ImagineGAN alone or SpiralNet, from which window; visible pixels stay."""

from __future__ import annotations

import numpy as np
from test_spiral_restorer import FakeImaginer, FakeSliceGenerator

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.occlusion.window import Window
from spiralage.restoration.choose import choose_way
from spiralage.restoration.restore import AUTO, Chooser, Spiral, fill_hidden, make_restorer, restore
from spiralage.types import AlignedFace, Landmarks, Mask, Occlusion

LANDMARKS = Landmarks(mean_landmarks(), "given")


def face(seed: int) -> AlignedFace:
    pixels = np.random.default_rng(seed).integers(1, 256, (256, 256, 3), dtype=np.uint8)
    return AlignedFace(pixels, np.eye(2, 3), np.ones((256, 256), np.bool_), LANDMARKS)


def mask_of(name: OccluderName) -> Mask:
    return OCCLUDERS[name](mean_landmarks(), np.random.default_rng(0)).mask


def test_every_face_is_filled_its_own_way_and_says_so() -> None:
    spiral = Spiral(FakeImaginer(), FakeSliceGenerator())
    chooser = Chooser(FakeImaginer(), spiral)
    masks = [np.zeros((256, 256), np.bool_), mask_of("paper"), mask_of("sunglasses"), mask_of("surgical-mask")]
    faces, occlusions = [face(n) for n in range(4)], [Occlusion(mask) for mask in masks]
    done = restore(chooser, faces, occlusions)
    assert [one.restorer for one in done] == ["none", "spiral", "imagine", "spiral"]
    assert [one.reason for one in done] == ["", "a window", "an eye is hidden", "a window"]
    for one, whole, mask in zip(done, faces, masks, strict=True):
        np.testing.assert_array_equal(one.pixels[~mask], whole.pixels[~mask])
    alone = fill_hidden(FakeImaginer(), faces[2].pixels[None], masks[2][None])[0]
    np.testing.assert_array_equal(done[2].pixels, alone)
    grown = fill_hidden(spiral, faces[1].pixels[None], masks[1][None])[0]
    np.testing.assert_array_equal(done[1].pixels, grown)  # the paper's window is the largest anyway


def test_the_walk_starts_from_the_window_with_the_eyes() -> None:
    """Below a bar under the eyes more is visible than above it: the larger window is not the one that is taken."""
    mask = np.zeros((256, 256), np.bool_)
    mask[116:128] = True
    mask[:, :30] = True
    way = choose_way(mask, LANDMARKS)
    assert way.restorer == "imagine"  # the eyes' window holds too little of what is visible
    mask[128:] = True
    way = choose_way(mask, LANDMARKS)
    assert way.window == Window(30, 0, 226, 116)
    crop = face(0).pixels[None]
    spiral = Spiral(FakeImaginer(), FakeSliceGenerator())
    visible = crop * ~mask[None, ..., None]
    assert way.window is not None
    np.testing.assert_array_equal(spiral.fill_from(visible, mask[None], [way.window]), spiral.fill(visible, mask[None]))


def test_the_shipped_one_fills_all_that_is_hidden(portrait_crop: AlignedFace) -> None:
    chooser = make_restorer(AUTO, threads=1)
    assert isinstance(chooser, Chooser)
    (done,) = restore(chooser, [portrait_crop], [Occlusion(mask_of("sunglasses"))])
    assert (done.restorer, done.reason) == ("imagine", "an eye is hidden")
    changed = (done.pixels != portrait_crop.pixels).any(axis=-1)
    assert changed[mask_of("sunglasses")].mean() > 0.9
    assert not changed[~mask_of("sunglasses")].any()
    assert chooser.networks == make_restorer("spiral", threads=1).networks
