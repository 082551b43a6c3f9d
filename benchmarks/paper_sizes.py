"""make bench: SpiralNet's speed at the paper's sizes, with random weights → results/speed-paper.csv, speed-paper.md.

The reference does what the authors' program does, with as many multiplications: pictures one by one, VGG19 to its last
ReLU anew for every slice, SPADE's convolutions at every pixel of the strip. What is measured is processor time of one
thread, in rounds in which all ways take turns: on a busy machine it says more than the clock. Time doesn't depend on
what the weights are; that all ways answer the same is measured with the shipped ones, by spiral.py.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from spiral import Fill, RecomputingSliceGenerator, instructions, one_by_one, operations, pictures, together

from spiralage import weights
from spiralage.evaluation.results import PaperSpeedRow, write_rows
from spiralage.export.manifest import put
from spiralage.export.onnx import imagine_onnx, slices_onnx
from spiralage.export.quantise import to_int8, watch
from spiralage.files import write_text
from spiralage.networks.backbones.vgg import convolutions
from spiralage.networks.features import style_layers
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.networks.restorers.slices import SliceGAN, StyleEncoder
from spiralage.provenance import commit, hardware
from spiralage.restoration.restore import Imaginer, Spiral
from spiralage.restoration.slice_generator import OnnxSliceGenerator
from spiralage.runtime import Engine
from spiralage.store import INT8
from spiralage.training.imagenet import MEAN, STD
from spiralage.training.loop import channels_last
from spiralage.training.recipes import ImagineRecipe, SliceRecipe, load_recipe
from spiralage.training.restorers import TorchImaginer, TorchSliceGenerator
from spiralage.training.tasks.imagine import make_generator
from spiralage.training.tasks.slices import make_slice_gan

Ways = Mapping[str, Callable[[], Fill]]
REFERENCE, OURS = "the authors' loop, PyTorch fp32", "ours, PyTorch fp32"
GOALS = {OURS: 2.0, "ours, ONNX Runtime fp32": 3.5, "ours, OpenVINO bf16": 6.0, "ours, OpenVINO int8": 9.0}


def make_networks(recipes: Path, seed: int = 0) -> tuple[CropImaginer, SliceGAN, int]:
    """ImagineGAN and SliceGAN of the paper's recipes with random weights, VGG19's among them; the frame's side."""
    torch.manual_seed(seed)
    imagine = load_recipe(recipes / "imagine-paper.toml", ImagineRecipe)
    slices = load_recipe(recipes / "slices-paper.toml", SliceRecipe)
    style = StyleEncoder(style_layers(convolutions("vgg19")), torch.tensor(MEAN), torch.tensor(STD))
    gan = make_slice_gan(slices, style).eval()
    return CropImaginer(make_generator(imagine), imagine.network.size).eval(), gan, slices.network.size


def ship(imaginer: CropImaginer, gan: SliceGAN, frame: int, folder: Path) -> None:
    """Put both networks, and int8 variants, into a weights folder, as if they had been trained."""
    origin = {"recipe": "paper", "data": "", "licence": "", "seed": 0, "commit": "", "hardware": "", "minutes": 0.0}
    put(folder, {"imagine.onnx": imagine_onnx(imaginer)}, "imagine", origin)
    parts = slices_onnx(gan, frame)
    put(folder, {f"slices-{part}.onnx": data for part, data in parts.items()}, "slices", origin)
    seen = watch(pictures(2)[0], imaginer=folder / "imagine.onnx", slices=folder / "slices-paint.onnx")
    entries = weights.manifest(folder)
    for name, inputs in seen.items():
        variant = to_int8(weights.read(name, folder), inputs)
        put(folder, {f"{name}{INT8}.onnx": variant}, f"{entries[name].kind} int8", asdict(entries[name]))


def make_ways(imaginer: CropImaginer, gan: SliceGAN, frame: int, folder: Path) -> Ways:
    """Our ways of running them."""

    def in_torch() -> Fill:
        return together(Spiral(TorchImaginer(channels_last(imaginer)), TorchSliceGenerator(channels_last(gan), frame)))

    def in_engine(engine: Engine) -> Callable[[], Fill]:
        files = folder / "imagine.onnx", folder / "slices-paint.onnx"
        return lambda: together(
            Spiral(Imaginer(files[0], threads=1, engine=engine), OnnxSliceGenerator(files[1], threads=1, engine=engine))
        )

    return {
        OURS: in_torch,
        "ours, ONNX Runtime fp32": in_engine("onnxruntime"),
        "ours, OpenVINO bf16": in_engine("openvino-bf16"),
        "ours, OpenVINO int8": in_engine("openvino-int8"),
    }


def processor_seconds(ways: Mapping[str, Fill], rounds: int) -> dict[str, float]:
    """The median processor time of one picture, by way; each is warmed up once."""
    crops, mask = pictures(1)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, fill in ways.items():
            start = time.process_time()
            fill(crops, mask)
            if number:
                seconds[way].append(time.process_time() - start)
    return {way: statistics.median(values) for way, values in seconds.items()}


def bench(recipes: Path, folder: Path, rounds: int) -> list[PaperSpeedRow]:
    """Every way, the reference first."""
    imaginer, gan, frame = make_networks(recipes)
    ship(imaginer, gan, frame, folder)
    ways = {way: make() for way, make in make_ways(imaginer, gan, frame, folder).items()}
    plain = make_networks(recipes)
    loop = Spiral(TorchImaginer(channels_last(plain[0])), RecomputingSliceGenerator(channels_last(plain[1]), frame))
    ways = {REFERENCE: one_by_one(loop), **ways}
    work = {way: operations(ways[way]) / 2e9 for way in (REFERENCE, OURS)}
    took = processor_seconds(ways, rounds)
    return [
        PaperSpeedRow(
            way=way,
            seconds=seconds,
            ratio=took[REFERENCE] / seconds,
            goal=GOALS.get(way),
            gmac=work.get(way, work[OURS]),
            rounds=rounds,
            commit=commit(),
            hardware=f"{hardware()}, {instructions()}",
        )
        for way, seconds in took.items()
    ]


HEAD = """# Speed of SpiralNet at the paper's sizes

Written by `make bench`: one picture under the paper's mask, random weights in the sizes of `recipes/imagine-paper.toml`
and `recipes/slices-paper.toml`, processor time of one thread, median of
{rounds} rounds, {hardware}, commit {commit}.
*GMAC*: 10⁹ multiplications, as counted. The reference does what the authors' program does: VGG19 anew for every slice.

| way | seconds | ratio | goal | GMAC |
|---|---:|---:|---:|---:|
"""


def page(rows: list[PaperSpeedRow]) -> str:
    """The rows for readers."""
    lines = [
        f"| {r.way} | {r.seconds:.2f} | {r.ratio:.2f} | {'' if r.goal is None else f'{r.goal:.1f}'} | {r.gmac:.0f} |"
        for r in rows
    ]
    return HEAD.format(**rows[0].model_dump()) + "\n".join(lines) + "\n"


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="the results folder")] = Path("results"),
    recipes: Annotated[Path, typer.Option(help="the folder of recipes")] = Path("recipes"),
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure, print, and write the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = bench(recipes, Path(folder), rounds)
    write_rows(output / "speed-paper.csv", PaperSpeedRow, rows)
    write_text(output / "speed-paper.md", page(rows))
    print(page(rows))


if __name__ == "__main__":
    typer.run(main)
