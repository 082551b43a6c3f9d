"""ImagineGAN's generator and the pooling of what is visible."""

from __future__ import annotations

import pytest
import torch

from spiralage.networks.restorers.imagine import CropImaginer, DilatedBlock, ImagineGenerator, at_size, bent


def crops_of(value: int, count: int = 1) -> torch.Tensor:
    return torch.full((count, 256, 256, 3), value, dtype=torch.uint8)


def test_a_small_pixel_is_the_mean_of_its_visible_pixels() -> None:
    crops = crops_of(0)
    crops[0, 0, 0] = torch.tensor([255, 0, 51], dtype=torch.uint8)
    crops[0, 0, 1] = torch.tensor([0, 255, 51], dtype=torch.uint8)
    crops[0, 1, 0] = 204
    crops[0, 1, 1] = 102
    hidden = torch.zeros(1, 256, 256, dtype=torch.bool)
    hidden[0, 1, 1] = True  # leaves three of the first block's four
    hidden[0, 0:2, 2:4] = True  # nothing of the second
    visible, small = at_size(crops, hidden, 128)
    assert visible.shape == (1, 3, 128, 128)
    assert small.shape == (1, 1, 128, 128)
    expected = torch.tensor([255 + 0 + 204, 0 + 255 + 204, 51 + 51 + 204]) / 3 / 255
    torch.testing.assert_close(visible[0, :, 0, 0], expected)
    assert small[0, 0, 0, 0] == 0
    assert small[0, 0, 0, 1] == 1
    assert visible[0, :, 0, 1].tolist() == [0, 0, 0]
    assert small.sum() == 1


def test_hidden_pixels_have_no_say() -> None:
    crops = torch.randint(0, 256, (1, 256, 256, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    hidden = torch.rand(1, 256, 256, generator=torch.Generator().manual_seed(1)) < 0.6
    covered = crops.masked_fill(hidden[..., None], 0)
    for a, b in zip(at_size(crops, hidden, 64), at_size(covered, hidden, 64), strict=True):
        assert torch.equal(a, b)


def test_an_even_picture_stays_even_at_the_masks_edge() -> None:
    hidden = torch.zeros(1, 256, 256, dtype=torch.uint8)
    hidden[0, :, 101:] = 1  # cuts through the blocks of columns 100…103
    visible, small = at_size(crops_of(200), hidden, 64)
    torch.testing.assert_close(visible[..., :26], torch.full((1, 3, 64, 26), 200 / 255))
    assert (visible[..., 26:] == 0).all()
    assert small[0, 0, 0].tolist() == [0] * 26 + [1] * 38


def test_full_size_changes_nothing() -> None:
    crops = torch.randint(0, 256, (1, 256, 256, 3), dtype=torch.uint8)
    visible, small = at_size(crops, torch.zeros(1, 256, 256, dtype=torch.bool), 256)
    torch.testing.assert_close(visible, crops.permute(0, 3, 1, 2) / 255)
    assert small.sum() == 0


@pytest.mark.parametrize(("size", "width", "blocks"), [(32, 8, 1), (64, 16, 2), (48, 8, 3)])
def test_the_generator_keeps_the_size(size: int, width: int, blocks: int) -> None:
    visible, hidden = torch.rand(2, 3, size, size), torch.ones(2, 1, size, size)
    picture = ImagineGenerator(width, blocks)(visible, hidden, torch.rand(2, 3, size, size))
    assert picture.shape == (2, 3, size, size)
    assert picture.min() >= 0
    assert picture.max() <= 1


@pytest.mark.parametrize("which", ["visible", "hidden", "noise"])
def test_the_generator_uses_every_input(which: str) -> None:
    torch.manual_seed(0)
    generator = ImagineGenerator(8, 1)
    inputs = {
        "visible": torch.rand(1, 3, 32, 32),
        "hidden": torch.zeros(1, 1, 32, 32),
        "noise": torch.rand(1, 3, 32, 32),
    }
    before = generator(**inputs)
    changed = inputs[which].clone()
    changed[:, :, :16] = 1 - changed[:, :, :16]
    assert not torch.allclose(generator(**(inputs | {which: changed})), before)


def test_a_generator_of_differences_begins_with_the_bent_mean_face() -> None:
    torch.manual_seed(0)
    generator = ImagineGenerator(8, 1, size=32)
    generator.mean_face[:, 16:] = 0.25
    visible, hidden = torch.full((1, 3, 32, 32), 0.8), torch.ones(1, 1, 32, 32)
    hidden[..., :8] = 0
    visible = visible * (1 - hidden)
    picture = generator(visible, hidden, torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(picture, torch.sigmoid(bent(generator.mean_face, visible, hidden)))
    torch.testing.assert_close(picture[..., :8], visible[..., :8], atol=1e-5, rtol=0)
    assert (picture[..., 16:] > generator.mean_face[..., 16:] + 0.1).all()  # as bright as what is visible
    unseen = generator(visible * 0, torch.ones_like(hidden), torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(unseen[0], generator.mean_face, atol=1e-5, rtol=0)


def test_a_dilated_block_sees_three_pixels_far() -> None:
    torch.manual_seed(0)
    block = DilatedBlock(4)
    x = torch.rand(1, 4, 16, 16)
    assert block(x).shape == x.shape
    # Without the norms, which see the whole picture: dilation 2 reaches ±2, the second convolution ±1.
    first, _, relu, second, _ = block.body
    x = torch.zeros(1, 4, 15, 15)
    empty = second(relu(first(x)))
    x[0, :, 7, 7] = 5
    touched = (second(relu(first(x))) - empty).abs().sum(dim=1)[0] > 1e-7
    rows, columns = torch.nonzero(touched, as_tuple=True)
    assert [int(edge) for edge in (rows.min(), rows.max(), columns.min(), columns.max())] == [4, 10, 4, 10]


@torch.no_grad()
def test_the_crop_imaginer_answers_in_crops() -> None:
    torch.manual_seed(0)
    imaginer = CropImaginer(ImagineGenerator(8, 1), 32).eval()
    crops = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    hidden = torch.zeros(2, 256, 256, dtype=torch.uint8)
    hidden[:, 128:] = 1
    noise = torch.rand(2, 3, 32, 32)
    pictures = imaginer(crops, hidden, noise)
    assert pictures.shape == (2, 256, 256, 3)
    assert pictures.dtype == torch.uint8
    # Its colours are the generator's, and a batch gives what each picture alone gives.
    small = imaginer.generator(*at_size(crops, hidden, 32), noise)
    averages = pictures.float().reshape(2, 32, 8, 32, 8, 3).mean(dim=(2, 4)).permute(0, 3, 1, 2) / 255
    assert (averages - small).abs().mean() < 0.05
    alone = imaginer(crops[1:], hidden[1:], noise[1:])
    assert (alone.int() - pictures[1:].int()).abs().max() <= 1
