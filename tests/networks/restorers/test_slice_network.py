"""SliceGAN's generator and the two ways in which it is told what is beside a slice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.backbones.vgg import convolutions
from spiralage.networks.restorers.slices import (
    ContextEncoder,
    SliceGAN,
    SliceGenerator,
    StyleEncoder,
    adain,
    spade,
    statistics,
)
from spiralage.occlusion.window import Window


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make_parts(width: int = 16, style_channels: int | None = None) -> tuple[SliceGenerator, ContextEncoder]:
    return SliceGenerator(width, 1, style_channels).eval(), ContextEncoder(width).eval()


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


def test_spade_scales_and_shifts_what_is_normalised() -> None:
    x, gamma, beta = torch.randn(1, 2, 4, 4) * 5 + 2, torch.full((1, 2, 4, 4), 0.5), torch.full((1, 2, 4, 4), -1.0)
    torch.testing.assert_close(spade(x, gamma, beta), F.instance_norm(x) * 1.5 - 1)


def test_spade_is_spatial() -> None:
    beta = torch.tensor([0.0, 10.0]).expand(1, 1, 2, 2).contiguous()  # left 0, right 10
    out = spade(torch.randn(1, 1, 8, 16), torch.zeros(1, 1, 2, 2), beta)
    assert out[..., :4].mean() + 9 < out[..., 12:].mean()


@pytest.mark.parametrize("shape", [(32, 128), (128, 32), (16, 256), (1, 40), (7, 30)])
def test_a_slice_of_any_shape(shape: tuple[int, int]) -> None:
    generator, context = make_parts()
    strip, style = torch.rand(2, 3, *shape), torch.rand(2, 32)
    out = generator(strip, style, *context(torch.rand(2, 3, 32, 32)))
    assert out.shape == strip.shape
    assert out.min() >= 0
    assert out.max() <= 1


def test_modulation_is_at_a_quarter_and_a_half() -> None:
    shapes = [tuple(m.shape) for m in ContextEncoder(16)(torch.rand(3, 3, 64, 64))]
    assert shapes == [(3, 16, 16, 16)] * 2 + [(3, 8, 32, 32)] * 2


def paint(changed: str) -> tuple[Tensor, Tensor]:
    """A slice, and the one that comes out when one input is another."""
    generator, context = make_parts()
    inputs = {"strip": torch.rand(1, 3, 8, 32), "style": torch.rand(1, 32) + 0.5, "visible": torch.rand(1, 3, 16, 16)}
    others = inputs | {changed: torch.rand_like(inputs[changed]) + 0.3}
    first, second = (generator(x["strip"], x["style"], *context(x["visible"])) for x in (inputs, others))
    return first, second


@pytest.mark.parametrize("changed", ["strip", "style", "visible"])
def test_every_input_matters(changed: str) -> None:
    first, second = paint(changed)
    assert (first - second).abs().max() > 1e-3


def test_pictures_of_a_batch_do_not_mix() -> None:
    generator, context = make_parts()
    strips, styles, visible = torch.rand(3, 3, 12, 20), torch.rand(3, 32), torch.rand(3, 3, 16, 16)
    together = generator(strips, styles, *context(visible))
    alone = [generator(strips[i : i + 1], styles[i : i + 1], *context(visible[i : i + 1])) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_styles_of_other_channels_are_brought_to_the_width() -> None:
    generator, context = make_parts(16, style_channels=5)
    assert generator(torch.rand(1, 3, 8, 8), torch.rand(1, 10), *context(torch.rand(1, 3, 16, 16))).shape[1] == 3
    assert sum(p.numel() for p in generator.style.parameters()) == 10 * 32 + 32
    assert not list(make_parts(16, 16)[0].style.parameters())


def test_the_papers_sizes() -> None:
    generator = SliceGenerator()
    assert [tuple(m.weight.shape) for m in generator.encoder if isinstance(m, torch.nn.Conv2d)] == [
        (64, 3, 7, 7),
        (128, 64, 4, 4),
        (256, 128, 4, 4),
    ]
    assert len(generator.blocks) == 6


def make_gan(thickness: int = 8) -> SliceGAN:
    layers = nn.Sequential(*list(convolutions("vgg16", 4))[:16])
    return SliceGAN(StyleEncoder(layers, 0.5, 0.25), 8, 1, thickness).eval()


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


def test_context_is_encoded_once_per_picture() -> None:
    gan = make_gan()
    calls: list[torch.Size] = []
    gan.context.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0].shape))
    steps = list(gan.walk(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 64, 64), Window(16, 4, 32, 32, 64)))
    assert len(steps) > 4
    assert calls == [(1, 3, 32, 32)]


def test_gradients_reach_every_slice_but_not_the_style_encoder() -> None:
    gan, imagined = make_gan(), torch.rand(1, 3, 64, 64, requires_grad=True)
    window = Window(16, 16, 32, 32, 64)
    (*_, (_, _, picture)) = gan.walk(torch.rand(1, 3, 32, 32), imagined, window)
    picture.square().sum().backward()  # type: ignore[no-untyped-call]
    assert imagined.grad is not None
    reached = imagined.grad.abs().sum(dim=1)[0] > 0
    assert not reached[window.slices].any()
    assert reached.float().mean() > 0.7  # all the margin, three quarters of the frame, but for dead pixels
    assert all(p.grad is None for p in gan.style.parameters())
    assert all(p.grad is not None for part in (gan.context, gan.generator) for p in part.parameters())
