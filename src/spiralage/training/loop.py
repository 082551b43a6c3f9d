"""What every training loop shares: device, optimiser, schedule, order of pictures, the run's log."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter

from spiralage.datasets.crops import Indices
from spiralage.errors import CheckpointError, DatasetError, OptionError, RecipeError
from spiralage.files import write_text
from spiralage.provenance import commit, hardware
from spiralage.training.checkpoint import load_checkpoint, load_tensors, save_checkpoint, save_tensors
from spiralage.training.recipes import Optimiser, Recipe, TrainingRecipe

Device: TypeAlias = Literal["auto", "cpu", "cuda"]

Network = TypeVar("Network", bound=nn.Module)

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
RECORD = "run.json"
NOTE_EVERY = 10


def make_fabric(device: Device, devices: int = 1) -> Fabric:
    """Lightning Fabric, bfloat16 where the hardware computes in it.

    Args:
        device: where to compute.
        devices: how many GPUs, or CPU processes, share each batch (DDP).

    Raises:
        OptionError: device "cuda" with fewer GPUs than that.
    """
    if device == "cuda" and devices > torch.cuda.device_count():
        raise OptionError(f"{devices} GPUs are asked for, {torch.cuda.device_count()} found; use --device auto or cpu")
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.device_count() >= devices)
    reduced = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else _cpu_computes_bfloat16()
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp",
        precision="bf16-mixed" if reduced else "32-true",
    )
    fabric.launch()
    return fabric


def _cpu_computes_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def make_optimiser(settings: Optimiser, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a recipe; biases and norms are not decayed."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, settings: Optimiser, step: int, steps: int) -> None:
    """Linear warm-up, then a half cosine to zero, steps or a constant; a pure function of the step."""
    rate = settings.learning_rate * min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    if settings.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / steps))
    if settings.schedule == "step":
        rate *= settings.factor ** sum(step >= part * steps for part in settings.milestones)
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_gradients(network: nn.Module, settings: Optimiser) -> None:
    """Shorten the gradient to the recipe's largest norm, if it names one."""
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)


def channels_last(network: Network) -> Network:
    """The network with its weights in the memory order that convolutions are fastest in."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def make_average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights and of its batch norms' statistics.

    Averaged weights with the latest statistics would be a network that never was.
    """
    return AveragedModel(network, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def picture_order(count: int, seed: int, epoch: int) -> Indices:
    """The order of ``count`` pictures in an epoch; depends on seed and epoch alone."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def batch_at(indices: Indices, step: int, batch: int, seed: int) -> Indices:
    """The pictures of one step: whole batches of each epoch's order, so any step can be resumed."""
    per_epoch = len(indices) // batch
    if per_epoch == 0:
        raise DatasetError(f"{len(indices)} training pictures don't fill a batch of {batch}; lower batch")
    epoch, within = divmod(step, per_epoch)
    order = picture_order(len(indices), seed, epoch)
    chosen: Indices = indices[order[within * batch : (within + 1) * batch]]
    return chosen


def share_of(chosen: Indices, fabric: Fabric) -> Indices:
    """This process's part of a batch that several share.

    Raises:
        RecipeError: the batch can't be shared evenly.
    """
    if len(chosen) % fabric.world_size:
        raise RecipeError(f"a batch of {len(chosen)} can't be shared by {fabric.world_size}; make batch a multiple")
    part: Indices = chosen[fabric.global_rank :: fabric.world_size]
    return part


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Make all that is random in a step a function of its arguments: a resumed run repeats it exactly."""
    torch.manual_seed((seed * 1_000_003 + step + rank * 15_485_863) % 2**63)  # the CPU's generator reads 32 bits


@dataclass
class Run:
    """The folder of one training run: recipe, log, checkpoints.

    Raises:
        CheckpointError: the folder holds a run of another recipe.

    Args:
        folder: made if it isn't there.
        recipe: saved beside the weights.
        minutes: stop, with a checkpoint, after this much time; None = run to the end.
        save_every_s: seconds between checkpoints.
        writes: False in all but one of the processes that share a run.
    """

    folder: Path
    recipe: TrainingRecipe
    device: str
    minutes: float | None = None
    save_every_s: float = 180
    writes: bool = True
    _start: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)
    _epochs_saved: int = 0
    seconds_before: float = 0.0
    commits: tuple[str, ...] = field(default_factory=lambda: (commit(),))  # of each sitting's code, as it starts

    def __post_init__(self) -> None:
        path = self.folder / "recipe.json"
        if path.exists() and self._recipe_in(path) != self.recipe:
            raise CheckpointError(f"{self.folder} holds a run of another recipe; choose another run folder")
        if self.writes:
            write_text(path, self.recipe.model_dump_json(indent=2) + "\n")

    def _recipe_in(self, path: Path) -> TrainingRecipe | None:
        try:
            return type(self.recipe).model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError):
            return None

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    @property
    def is_complete(self) -> bool:
        """True once the trained weights are written."""
        return self._record.exists() and (self.folder / WEIGHTS).exists()

    def check_finished(self, facts: Mapping[str, Any]) -> None:
        """Refuse a finished run of other facts; raises CheckpointError."""
        check_facts(self._record, read_record(self.folder), facts)

    @property
    def _record(self) -> Path:
        return self.folder / RECORD

    @property
    def seconds(self) -> float:
        """Training time so far, earlier sittings included."""
        return self.seconds_before + time.monotonic() - self._start

    def out_of_time(self, fabric: Fabric) -> bool:
        """True once the minutes are over, by the clock of the first process: all must stop at the same step."""
        if self.minutes is None:
            return False
        over: bool = fabric.broadcast(time.monotonic() - self._start > self.minutes * 60)
        return over

    def due_to_save(self, epoch: float) -> bool:
        """True once every ``save_every_s`` seconds and every ``save_every_epochs`` epochs of the recipe."""
        passed = math.floor(epoch / self.recipe.save_every_epochs + 1e-9)
        if time.monotonic() - self._saved < self.save_every_s and passed == self._epochs_saved:
            return False
        self._saved, self._epochs_saved = time.monotonic(), passed
        return True

    def save(
        self,
        parts: dict[str, nn.Module],
        optimisers: dict[str, torch.optim.Optimizer],
        step: int,
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write the checkpoint that ``resume`` goes on from."""
        if self.writes:
            recipe = self.recipe.model_dump(mode="json")
            meta = {"step": step, "seconds": self.seconds, "commits": self.commits, "recipe": recipe, **facts}
            save_checkpoint(self.checkpoint, parts, optimisers, meta)

    def note(self, step: int, values: dict[str, float]) -> None:
        """Show values in TensorBoard, every ``NOTE_EVERY`` steps."""
        if self.writes and step % NOTE_EVERY == 0:
            self._show(step, values)

    def _show(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def show_picture(self, step: int, name: str, picture: Tensor) -> None:
        """Show a picture, (3, H, W) float in [0, 1], in TensorBoard."""
        if self.writes:
            self._board.add_image(name, picture, step)

    @cached_property
    def _board(self) -> SummaryWriter:
        return SummaryWriter(self.folder / "tensorboard")

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append a row to log.csv; columns are step, seconds and the first row's names. TensorBoard gets it too."""
        if not self.writes:
            return
        self._show(step, values)
        path = self.folder / "log.csv"
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(["step", "seconds", *values])
            writer.writerow([step, round(self.seconds), *(f"{value:.4f}" for value in values.values())])

    def finish(self, network: nn.Module, facts: dict[str, Any]) -> None:
        """Write the trained weights and run.json: what was trained, from which commit, on what, for how long."""
        if not self.writes:
            return
        recipe = self.recipe.model_dump(mode="json")
        save_tensors(self.folder / WEIGHTS, network.state_dict(), {"recipe": recipe, **facts})
        record = {
            "recipe": self.recipe.name,
            "seed": self.recipe.seed,
            "commit": " ".join(self.commits),
            "hardware": hardware(self.device),
            "minutes": round(self.seconds / 60, 1),
            **facts,
        }
        write_text(self._record, json.dumps(record, indent=2) + "\n")
        self.checkpoint.unlink(missing_ok=True)
        self._board.close()


def resume(
    run: Run,
    parts: dict[str, nn.Module],
    optimisers: dict[str, torch.optim.Optimizer],
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Load the run's checkpoint, if there is one; returns the step to go on with.

    Raises:
        CheckpointError: the checkpoint is of another network, or its facts are others.
    """
    if not run.checkpoint.exists():
        return 0
    meta = load_checkpoint(run.checkpoint, parts, optimisers)
    check_facts(run.checkpoint, meta, facts)
    run.seconds_before = meta["seconds"]
    run.commits = tuple(dict.fromkeys([*meta["commits"], *run.commits]))
    return int(meta["step"])


def check_facts(path: Path, had: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Refuse to go on with a run of other facts; what was written before a fact existed passes.

    Raises:
        CheckpointError: a fact is another.
    """
    for name, value in facts.items():
        if had.get(name, value) != value:
            raise CheckpointError(f"{path} has {name} {had[name]}, not {value}; choose another run folder")


def read_record(folder: Path) -> dict[str, Any]:
    """A finished run's run.json.

    Raises:
        CheckpointError: the folder holds no finished run.
    """
    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{folder}: no finished run here (no {path.name}); train it first") from error
    return record


def load_run(folder: Path, kind: type[Recipe]) -> tuple[Recipe, dict[str, Tensor]]:
    """The recipe and the trained weights of a finished run.

    Raises:
        CheckpointError: the folder holds no finished run, or one of another kind.
    """
    tensors, meta = load_tensors(folder / WEIGHTS)
    try:
        return kind.model_validate(meta["recipe"]), tensors
    except (KeyError, ValidationError) as error:
        raise CheckpointError(f"{folder}: the run has no {kind.__name__}; choose a run of that kind") from error
