"""SliceGAN's generator and the two ways in which it is told what is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.backbones.vgg import convolutions
from spiralage.networks.restorers.slices import (
    SliceGAN,
    SliceGenerator,
    Spade,
    StyleEncoder,
    adain,
    statistics,
)
from spiralage.occlusion.window import Window


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make_gan(thickness: int = 8, width: int = 8, *, residual: bool = False) -> SliceGAN:
    layers = nn.Sequential(*list(convolutions("vgg16", 4))[:16])  # 16 channels
    return SliceGAN(StyleEncoder(layers, 0.5, 0.25), width, 1, thickness, residual=residual).eval()


def make_generator(width: int = 16) -> SliceGenerator:
    return SliceGenerator(width, 1).eval()


def test_statistics_are_means_then_deviations() -> None:
    features = torch.randn(2, 3, 9, 7) * 4 + 1
    found = statistics(features)
    torch.testing.assert_close(found[:, :3], features.mean(dim=(2, 3)))
    torch.testing.assert_close(found[:, 3:], features.std(dim=(2, 3), correction=0), rtol=1e-4, atol=1e-4)


def test_adain_has_the_styles_statistics() -> None:
    style = statistics(torch.randn(2, 5, 8, 32) * torch.arange(1.0, 6)[:, None, None] - 3)
    out = adain(torch.randn(2, 5, 16, 4) * 7 + 20, style)
    torch.testing.assert_close(statistics(out), style, rtol=1e-3, atol=1e-3)


def test_adain_of_its_own_style_changes_nothing() -> None:
    content = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(adain(content, statistics(content)), content)


def test_adain_survives_a_constant_slice() -> None:
    content = torch.zeros(1, 2, 4, 4, requires_grad=True)
    adain(content, torch.ones(1, 4)).sum().backward()  # type: ignore[no-untyped-call]
    assert content.grad is not None
    assert content.grad.isfinite().all()


def make_spade(channels: int = 8, shrink: int = 4) -> Spade:
    return Spade(channels, shrink).eval()


@torch.no_grad()
@pytest.mark.parametrize("shape", [(12, 12), (32, 128), (64, 16)])
def test_modulation_is_one_number_a_channel_the_mean_of_convolutions(shape: tuple[int, int]) -> None:
    spade, beside = make_spade(), torch.rand(2, 3, *shape)
    gamma, beta = spade.modulation(beside)
    assert gamma.shape == beta.shape == (2, 8, 1, 1)
    seen = F.relu(spade.shared(F.avg_pool2d(beside * 2 - 1, 4)))
    for found, head in ((gamma, spade.gamma), (beta, spade.beta)):
        whole = F.conv2d(seen, head.weight, head.bias, padding=1)
        torch.testing.assert_close(found, whole.mean(dim=(2, 3), keepdim=True), rtol=1e-4, atol=1e-5)
    assert (gamma[0] - gamma[1]).abs().max() > 1e-4  # the strip matters


@torch.no_grad()
def test_spade_scales_and_shifts_what_is_normalised() -> None:
    spade, x, beside = make_spade(), torch.randn(1, 8, 4, 4) * 5 + 2, torch.rand(1, 3, 16, 16)
    gamma, beta = spade.modulation(beside)
    expected = F.leaky_relu(F.instance_norm(x) * (1 + gamma) + beta, 0.2)
    torch.testing.assert_close(spade(x, beside), expected)
    assert expected.min() < 0


@pytest.mark.parametrize("shape", [(32, 128), (128, 32), (16, 256), (1, 40), (7, 30)])
def test_a_slice_of_any_shape(shape: tuple[int, int]) -> None:
    strip = torch.rand(2, 3, *shape)
    out = make_generator()(strip, torch.rand(2, 3, 5, 9), torch.rand(2, 32))
    assert out.shape == strip.shape
    assert out.min() >= 0
    assert out.max() <= 1


def paint(changed: str) -> tuple[Tensor, Tensor]:
    """A slice, and the one that comes out when one input is another."""
    generator = make_generator()
    inputs = {"imaginary": torch.rand(1, 3, 16, 32), "beside": torch.rand(1, 3, 16, 32), "style": torch.rand(1, 32)}
    others = inputs | {changed: torch.rand_like(inputs[changed]) + 0.3}
    first, second = (generator(**given) for given in (inputs, others))
    return first, second


@torch.no_grad()
@pytest.mark.parametrize("changed", ["imaginary", "beside", "style"])
def test_every_input_matters(changed: str) -> None:
    first, second = paint(changed)
    assert (first - second).abs().max() > 1e-4


@torch.no_grad()
def test_pictures_of_a_batch_do_not_mix() -> None:
    generator = make_generator()
    inputs = torch.rand(3, 3, 12, 20), torch.rand(3, 3, 16, 20), torch.rand(3, 32)
    alone = [generator(*(part[i : i + 1] for part in inputs)) for i in range(3)]
    torch.testing.assert_close(generator(*inputs), torch.cat(alone), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_generator_of_differences_begins_with_what_is_imagined() -> None:
    imaginary = torch.rand(1, 3, 12, 20) * 0.9 + 0.05
    generator = SliceGenerator(8, 1, residual=True)
    torch.testing.assert_close(generator(imaginary, imaginary, torch.rand(1, 16)), imaginary, rtol=1e-3, atol=1e-4)


def test_a_style_of_other_channels_is_brought_to_the_width() -> None:
    context = make_gan(width=8).context
    assert context(torch.rand(2, 3, 30, 41)).shape == (2, 16)
    assert sum(p.numel() for p in context.to_width.parameters()) == 2 * 16 * 16 + 16
    assert not list(make_gan(width=16).context.to_width.parameters())  # VGG's own channels


@torch.no_grad()
def test_the_style_is_that_of_vggs_activations() -> None:
    context, visible = make_gan(width=16).context, torch.rand(2, 3, 32, 40)
    expected = statistics(context.vgg.layers((visible - 0.5) / 0.25))
    torch.testing.assert_close(context(visible), expected)


def test_the_papers_sizes() -> None:
    generator = SliceGenerator()
    assert [tuple(m.weight.shape) for m in generator.encoder if isinstance(m, torch.nn.Conv2d)] == [
        (64, 3, 7, 7),
        (128, 64, 4, 4),
        (256, 128, 4, 4),
    ]
    assert len(generator.blocks) == 6
    assert generator.spade_quarter.gamma.weight.shape == (256, 128, 3, 3)
    assert generator.spade_half.beta.weight.shape == (128, 128, 3, 3)


@torch.no_grad()
@pytest.mark.parametrize("window", [Window(16, 4, 32, 32, 64), Window(0, 30, 20, 34, 64), Window(61, 61, 3, 3, 64)])
def test_the_walk_fills_the_frame_and_keeps_the_window(window: Window) -> None:
    gan = make_gan()
    visible, imagined = torch.rand(2, 3, window.height, window.width), torch.rand(2, 3, 64, 64)
    walked = list(gan.walk(visible, imagined, window))
    picture = walked[-1][2]
    assert picture.shape == (2, 3, 64, 64)
    assert torch.equal(picture[(..., *window.slices)], visible)
    assert [strip.shape[2:] for _, strip, _ in walked] == [(s.strip.height, s.strip.width) for s, _, _ in walked]


def test_the_style_is_told_once_by_the_window_alone() -> None:
    gan, styles, strips = make_gan(), list[Tensor](), list[Tensor]()
    gan.context.register_forward_hook(lambda module, inputs, output: styles.append(inputs[0]))
    gan.generator.register_forward_hook(lambda module, inputs, output: strips.append(inputs[2]))
    window, visible = Window(16, 4, 32, 32, 64), torch.rand(1, 3, 32, 32)
    steps = list(gan.walk(visible, torch.rand(1, 3, 64, 64), window))
    assert len(steps) == len(strips) > 4
    assert len(styles) == 1
    assert torch.equal(styles[0], visible)
    list(gan.walk(visible, torch.rand(1, 3, 64, 64), window))  # other strips
    assert all(torch.equal(style, strips[0]) for style in strips)


def test_gradients_reach_every_slice_but_not_vgg() -> None:
    gan, imagined = make_gan(), torch.rand(1, 3, 64, 64, requires_grad=True)
    window = Window(16, 16, 32, 32, 64)
    (*_, (_, _, picture)) = gan.walk(torch.rand(1, 3, 32, 32), imagined, window)
    picture.square().sum().backward()  # type: ignore[no-untyped-call]
    assert imagined.grad is not None
    reached = imagined.grad.abs().sum(dim=1)[0] > 0
    assert not reached[window.slices].any()
    assert reached.float().mean() > 0.7  # all the margin, three quarters of the frame, but for dead pixels
    assert all(p.grad is None for p in gan.context.vgg.parameters())
    assert all(p.grad is not None for part in (gan.context.to_width, gan.generator) for p in part.parameters())


def test_a_slice_learns_from_the_slices_beside_it() -> None:
    """The strip beside a slice was painted before, and that it was well painted for this one is learned, too."""
    gan, imagined = make_gan(), torch.rand(1, 3, 64, 64, requires_grad=True)
    (first, *_), *others = gan.walk(torch.rand(1, 3, 32, 32), imagined, Window(16, 16, 32, 32, 64))
    ((_, strip, _), *_) = [walked for walked in others if walked[0].side == "left"]
    strip.square().sum().backward()  # type: ignore[no-untyped-call]
    assert imagined.grad is not None
    assert imagined.grad[(..., *first.strip.slices)].abs().max() > 0
