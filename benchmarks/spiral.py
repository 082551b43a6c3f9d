"""make bench: SpiralNet's speed, all ways of running the shipped weights in one run → results/speed.csv, speed.md.

The reference is a plain loop in float32 PyTorch that treats pictures one by one. As its authors' program does, it
computes for every slice what depends on the window alone, and runs the whole VGG, though only its third block tells the
style; it answers the same. Both keep their weights in the same memory order. Ratios are of medians of rounds in
which all ways take turns, so that a slow minute of the machine slows them all.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from spiralage import weights
from spiralage.demo import portrait
from spiralage.evaluation.results import SpeedRow, write_rows
from spiralage.export.import_weights import import_weights
from spiralage.export.quantise import NETWORKS
from spiralage.faces.find import make_finder
from spiralage.files import write_text
from spiralage.networks.backbones.vgg import WIDENING, convolutions
from spiralage.networks.features import STYLE_BLOCK, vgg_with
from spiralage.networks.restorers.slices import SliceGAN, Spade
from spiralage.occlusion.window import paper_mask
from spiralage.provenance import commit, hardware
from spiralage.restoration.restore import Restorer, Spiral, fill_hidden, make_spiral
from spiralage.restoration.slice_generator import Style
from spiralage.store import INT8
from spiralage.training.loop import channels_last
from spiralage.training.restorers import TorchImaginer, TorchSliceGenerator
from spiralage.training.tasks.imagine import load_imaginer
from spiralage.training.tasks.slices import load_slice_gan
from spiralage.types import Floats, Mask, Pixels

REFERENCE, OURS = "reference loop, PyTorch fp32", "ours, PyTorch fp32"
BATCHES = (1, 16)
SETTLE_S = 0.2
"""Before a way's turn: the last one's threads wait busily for more work, for a while."""
Fill = Callable[[Pixels, Mask], Pixels]


class RecomputingSliceGenerator(TorchSliceGenerator):
    """For every slice the style of what is visible anew, and the strip's convolutions in full before their mean.

    VGG runs to its last ReLU: what is beyond the style is thrown away. Those further layers ship nowhere and change
    nothing; they stand here untrained, for the time that they take.
    """

    def __init__(self, gan: SliceGAN, frame: int) -> None:
        super().__init__(gan, frame)
        vgg = gan.context.vgg
        name = vgg_with(sum(isinstance(layer, nn.Conv2d) for layer in vgg.layers))
        whole = convolutions(name, vgg.channels // WIDENING[STYLE_BLOCK])
        further = channels_last(whole[len(vgg.layers) : -1])
        vgg.layers.register_forward_hook(lambda module, inputs, output: discard(further(output)))
        for spade in (gan.generator.spade_quarter, gan.generator.spade_half):
            spade.modulation = partial(in_full, spade)  # type: ignore[method-assign]

    def context(self, visible: Floats) -> Style:
        return (visible,)

    @torch.no_grad()
    def generate(self, imaginary: Floats, beside: Floats, style: Style) -> Floats:
        return super().generate(imaginary, beside, super().context(*style))


def in_full(spade: Spade, beside: Tensor) -> tuple[Tensor, Tensor]:
    """``Spade.modulation`` with the two convolutions computed at every pixel, and then averaged."""
    seen = F.relu(spade.shared(F.avg_pool2d(beside * 2 - 1, spade.shrink)))
    gamma, beta = (
        F.conv2d(seen, head.weight, head.bias, padding=1).mean(dim=(2, 3), keepdim=True)
        for head in (spade.gamma, spade.beta)
    )
    return gamma, beta


def discard(computed: Tensor) -> None:
    """A forward hook that returns nothing changes nothing."""


def one_by_one(restorer: Restorer) -> Fill:
    """A restorer that is asked about one picture at a time."""
    return lambda crops, mask: np.concatenate(
        [fill_hidden(restorer, crops[i : i + 1], mask[i : i + 1]) for i in range(len(crops))]
    )


def together(restorer: Restorer, under: Callable[[], AbstractContextManager[object]] = nullcontext) -> Fill:
    """A restorer that is asked about all pictures at once."""

    def fill(crops: Pixels, mask: Mask) -> Pixels:
        with under():
            return fill_hidden(restorer, crops, mask)

    return fill


def make_ways(runs: Path, threads: int) -> dict[str, Callable[[], Fill]]:
    """All ways of running the same weights, each made when it is asked for; the reference first."""
    return {
        REFERENCE: lambda: one_by_one(torch_spiral(runs, RecomputingSliceGenerator)),
        OURS: lambda: together(torch_spiral(runs)),
        "ours, PyTorch bf16": lambda: together(torch_spiral(runs), lambda: torch.autocast("cpu", torch.bfloat16)),
        "ours, ONNX Runtime fp32": lambda: together(make_spiral(threads, "onnxruntime")),
        "ours, OpenVINO fp32": lambda: together(make_spiral(threads, "openvino")),
        "ours, OpenVINO bf16": lambda: together(make_spiral(threads, "openvino-bf16")),
        "ours, OpenVINO int8": lambda: together(make_spiral(threads, "openvino-int8")),
    }


def torch_spiral(runs: Path, generator: type[TorchSliceGenerator] = TorchSliceGenerator) -> Spiral:
    """SpiralNet in PyTorch, with networks of its own."""
    recipe, gan = load_slice_gan(runs / "slices")
    imaginer = TorchImaginer(channels_last(load_imaginer(runs / recipe.imagine)[1]))
    return Spiral(imaginer, generator(channels_last(gan), recipe.network.size))


def pictures(count: int) -> tuple[Pixels, Mask]:
    """NASA's portrait under the paper's mask, aligned, each time a little brighter or darker."""
    photo = portrait()
    (face,) = make_finder("dlib").find(photo, most=1)
    crop = face.aligned.pixels.astype(np.float64)
    crops = np.stack([np.clip(crop * gain, 0, 255).astype(np.uint8) for gain in np.linspace(0.7, 1.1, count)])
    return crops, np.broadcast_to(paper_mask().mask, crops.shape[:3])


def measure(ways: dict[str, Fill], crops: Pixels, mask: Mask, rounds: int) -> dict[str, list[float]]:
    """Seconds of every way in every round; each is warmed up once."""
    for fill in ways.values():
        fill(crops, mask)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, fill in ways.items():
            time.sleep(SETTLE_S)
            seconds[way].append(_seconds(lambda: fill(crops, mask)))  # noqa: B023  # called at once
    return seconds


def peak_mib(runs: Path, threads: int, way: str, crops: Pixels, mask: Mask) -> float:
    """The most memory that a process of its own takes for one way, beyond what it had before."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_peak, runs, threads, way, crops, mask).result()


def _peak(runs: Path, threads: int, way: str, crops: Pixels, mask: Mask) -> float:
    torch.set_num_threads(threads)
    make = make_ways(runs, threads)[way]
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak so far
    before = _memory_mib("VmRSS")
    make()(crops, mask)
    return _memory_mib("VmHWM") - before


def _memory_mib(kind: str) -> float:
    """This process's memory now (VmRSS) or at most so far (VmHWM), as Linux tells it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{kind}:"))
    return int(line.split()[1]) / 1024


INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with bfloat16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}
"""What a processor computes networks with, by the flag in which Linux tells it, widest first."""


def instructions() -> str:
    """The widest arithmetic for networks that this processor has, as Linux tells it."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return "unknown instructions"
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), "no wide instructions")


def matrix_rate(precision: torch.dtype, size: int = 256, largest: int = 2048, rounds: int = 7) -> float:
    """Operations per second of this machine's matrix product.

    Matrices grow from ``size`` on until one product takes a tenth of a second: where a precision is imitated, the
    largest would take a minute.
    """
    while True:
        a, b = (torch.randn(size, size).to(precision) for _ in range(2))
        seconds = [_seconds(lambda: a @ b) for _ in range(rounds)]  # noqa: B023  # called at once
        if size >= largest or min(seconds) > 0.1:
            return 2 * size**3 / statistics.median(seconds)
        size *= 2


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def operations(fill: Fill) -> float:
    """Floating-point operations of one picture, counted."""
    with FlopCounterMode(display=False) as counter:
        fill(*pictures(1))
    return float(counter.get_total_flops())


def difference(found: Pixels, expected: Pixels, mask: Mask) -> tuple[int, float]:
    """The largest difference of any hidden pixel, and PSNR over them in dB; visible ones must be equal."""
    if not np.array_equal(found[~mask], expected[~mask]):
        raise AssertionError("a visible pixel was changed")
    gap = found[mask].astype(np.float64) - expected[mask]
    mean = float((gap**2).mean())
    return int(np.abs(gap).max()), float("inf") if mean == 0 else 10 * float(np.log10(255**2 / mean))


def bench(runs: Path, threads: int, rounds: int, batches: Sequence[int] = BATCHES) -> list[SpeedRow]:
    """Every way at every batch.

    Raises:
        ModelFileError: a network has no int8 variant: its way would measure something else.
    """
    for name in NETWORKS:
        weights.read(f"{name}{INT8}")
    bf16, fp32 = matrix_rate(torch.bfloat16), matrix_rate(torch.float32)
    ways = {way: make() for way, make in make_ways(runs, threads).items()}
    work = operations(ways[OURS])
    recipe = load_slice_gan(runs / "slices")[0]
    origin = {"commit": commit(), "hardware": f"{hardware()}, {instructions()}"}
    whence: dict[str, Any] = {"rounds": rounds, "recipe": recipe.name, "seed": recipe.seed, **origin}
    rows = []
    for batch in batches:
        crops, mask = pictures(batch)
        expected = ways[REFERENCE](crops, mask)
        medians = {way: statistics.median(s) for way, s in measure(ways, crops, mask, rounds).items()}
        for way, fill in ways.items():
            per_s = batch / medians[way]
            most, psnr = difference(fill(crops, mask), expected, mask)
            rows.append(
                SpeedRow(
                    way=way,
                    batch=batch,
                    threads=threads,
                    pictures_per_s=per_s,
                    ratio=medians[REFERENCE] / medians[way],
                    peak_mib=peak_mib(runs, threads, way, crops, mask),
                    bf16_share=work * per_s / bf16,
                    fp32_share=work * per_s / fp32,
                    bf16_gflops=bf16 / 1e9,
                    fp32_gflops=fp32 / 1e9,
                    most=most,
                    psnr=psnr,
                    **whence,
                )
            )
    return rows


HEAD = """# Speed of SpiralNet

Written by `make bench`: ImagineGAN and SliceGAN under the paper's mask, the shipped weights ({recipe}), {threads}
threads, medians of {rounds} rounds, {hardware}, commit {commit}. *Share*: operations done per second, as counted for
our walk, by the machine's measured matrix rate, {bf16_gflops:.1f} GFLOP/s in bfloat16 and {fp32_gflops:.1f} in float32.
*Most* and *PSNR*: largest difference to the reference in 1/255, and PSNR to it, over hidden pixels. *Peak*: the most
memory that a process of its own takes beyond PyTorch. Where the processor doesn't compute in bfloat16, OpenVINO takes
float32 and PyTorch imitates it: bfloat16's rate is then far below float32's, and shares of it mean little. int8 is
compared with both.

| way | batch | pictures/s | ratio | peak MiB | bf16 share | fp32 share | most | PSNR dB |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def page(rows: Sequence[SpeedRow]) -> str:
    """The rows for readers."""
    lines = [
        f"| {r.way} | {r.batch} | {r.pictures_per_s:.2f} | {r.ratio:.2f} | {r.peak_mib:.0f} | {r.bf16_share:.1%} "
        f"| {r.fp32_share:.1%} | {r.most} | {r.psnr:.1f} |"
        for r in rows
    ]
    return HEAD.format(**rows[0].model_dump()) + "\n".join(lines) + "\n"


def write(rows: Sequence[SpeedRow], folder: Path) -> None:
    """Write ``speed.csv`` and ``speed.md``."""
    write_rows(folder / "speed.csv", SpeedRow, rows)
    write_text(folder / "speed.md", page(rows))


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="the results folder")] = Path("results"),
    recipes: Annotated[Path, typer.Option(help="the recipes of the shipped networks")] = Path("recipes"),
    threads: Annotated[int, typer.Option(min=1)] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure, print, and write the tables."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("imagine", "slices"):
            import_weights(name, recipes, Path(folder) / name)
        rows = bench(Path(folder), threads, rounds)
    write(rows, output)
    print(page(rows))


if __name__ == "__main__":
    typer.run(main)
