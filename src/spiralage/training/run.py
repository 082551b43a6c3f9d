"""The folder of a training run: recipe, log, checkpoints, trained weights."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from spiralage.errors import CheckpointError, OptionError, OutputError
from spiralage.files import write_text
from spiralage.provenance import commit, hardware
from spiralage.training.checkpoint import check_header, load_checkpoint, load_tensors, save_checkpoint, save_tensors
from spiralage.training.loop import Network, check_weights
from spiralage.training.recipes import Recipe, TrainingRecipe

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
RECORD = "run.json"
LOG = "log.csv"
BOARD = "tensorboard"
NOTE_EVERY = 10


@dataclass
class Run:
    """The folder of one training run: recipe, log, checkpoints.

    Raises:
        CheckpointError: the folder holds a run of another recipe.
        OptionError: it is to finish after no minutes.

    Args:
        folder: made if it isn't there.
        recipe: saved beside the weights.
        minutes: stop, with a checkpoint, after this much time; None = run to the end.
        finishes: when the minutes are over, the training is complete with what it has learned, for a budget of time:
            earlier sittings count, so that a run that was killed doesn't begin its budget anew.
        save_every_s: seconds between checkpoints.
        writes: False in all but one of the processes that share a run.
    """

    folder: Path
    recipe: TrainingRecipe
    device: str
    minutes: float | None = None
    save_every_s: float = 180
    writes: bool = True
    finishes: bool = False
    _start: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)
    _epochs_saved: int = 0
    seconds_before: float = 0.0
    commits: tuple[str, ...] = field(default_factory=lambda: (commit(),))  # of each sitting's code, as it starts

    def __post_init__(self) -> None:
        if self.finishes and self.minutes is None:
            raise OptionError("a budget of time has minutes; give --minutes with --finish, or neither")
        path = self.folder / "recipe.json"
        if path.exists() and not self.recipe.trains_as(self._recipe_in(path)):
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
        """True once the trained weights are written; see ``is_finished``."""
        return is_finished(self.folder)

    def check_finished(self, facts: Mapping[str, Any]) -> None:
        """Refuse a finished run of other facts; raises CheckpointError.

        Where the recipe now says otherwise how the network is used, the weights' file comes to say so.
        """
        check_facts(self._record, read_record(self.folder), facts)
        if not self.writes:
            return
        said, tensors = load_run(self.folder, type(self.recipe))
        if said != self.recipe:
            meta = load_tensors(self.folder / WEIGHTS)[1] | {"recipe": self.recipe.model_dump(mode="json")}
            save_tensors(self.folder / WEIGHTS, tensors, meta)

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
        spent = self.seconds if self.finishes else time.monotonic() - self._start
        over: bool = fabric.broadcast(not spent <= self.minutes * 60)  # NaN minutes are over
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
        """Write the checkpoint that ``resume`` goes on from.

        Raises:
            TrainingError: the weights are no numbers; the last checkpoint stays.
            OutputError: it can't be written; the last checkpoint stays.
        """
        check_weights(parts, step)
        if self.writes:
            recipe = self.recipe.model_dump(mode="json")
            meta = {"step": step, "seconds": self.seconds, "commits": self.commits, "recipe": recipe, **facts}
            save_checkpoint(self.checkpoint, parts, optimisers, meta)

    def note(self, step: int, values: dict[str, float]) -> None:
        """Show values in TensorBoard, every ``NOTE_EVERY`` steps."""
        if self.writes and step % NOTE_EVERY == 0:
            self._show(step, values)

    def _show(self, step: int, values: dict[str, float]) -> None:
        with self._board_errors():
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def show_picture(self, step: int, name: str, picture: Tensor) -> None:
        """Show a picture, (3, H, W) float in [0, 1], in TensorBoard."""
        if self.writes:
            with self._board_errors():
                self._board.add_image(name, picture, step)

    @cached_property
    def _board(self) -> SummaryWriter:
        return SummaryWriter(self.folder / BOARD)

    @contextmanager
    def _board_errors(self) -> Iterator[None]:
        """TensorBoard's writer works in a thread of its own, and tells what went wrong there at a later call."""
        try:
            yield
        except OSError as error:
            raise _cannot_write(self.folder / BOARD, error) from error

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append a row to log.csv; columns are step, seconds and the first row's names. TensorBoard gets it too.

        Raises:
            OutputError: the disk is full.
        """
        if not self.writes:
            return
        self._show(step, values)
        row: list[object] = [step, round(self.seconds), *(f"{value:.4f}" for value in values.values())]
        rows: list[list[object]] = [row] if self._log.exists() else [["step", "seconds", *values], row]
        try:
            with self._log.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
        except OSError as error:
            raise _cannot_write(self._log, error) from error

    @property
    def _log(self) -> Path:
        return self.folder / LOG

    def forget_after(self, step: int) -> None:
        """Drop what log.csv has of steps that are done again, and half a line, if a kill left one."""
        if not self.writes or not self._log.exists():
            return
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        kept = lines[:1] + [line for line in lines[1:] if line.endswith("\n") and 0 <= _step_of(line) <= step]
        if len(kept) < 2:
            self._log.unlink()
        elif kept != lines:
            write_text(self._log, "".join(kept))

    def finish(self, network: nn.Module, facts: dict[str, Any], *, step: int) -> None:
        """Write the trained weights and run.json: what was trained, from which commit, on what, for how long.

        Args:
            network: the trained one.
            facts: for run.json.
            step: the last one.

        Raises:
            TrainingError: the weights are no numbers.
            OutputError: they can't be written.
        """
        check_weights({"network": network}, step)
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
        with self._board_errors():
            self._board.close()


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: can't be written ({error.strerror or error}); make room, the same command goes on")


def _step_of(line: str) -> int:
    """The step of a row of log.csv; -1 where it can't be read."""
    first = line.partition(",")[0]
    return int(first) if first.isdecimal() and first.isascii() else -1


def resume(
    run: Run,
    parts: dict[str, nn.Module],
    optimisers: dict[str, torch.optim.Optimizer],
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Load the run's checkpoint, if there is one; returns the step to go on with.

    Raises:
        CheckpointError: the checkpoint is damaged, of another network, or its facts are others.
    """
    step = 0
    if run.checkpoint.exists():
        meta = load_checkpoint(run.checkpoint, parts, optimisers)
        check_facts(run.checkpoint, meta, facts)
        try:
            sitting = _Sitting.model_validate(meta)
        except ValidationError as error:
            raise _damaged(run.checkpoint, error) from error
        run.seconds_before = sitting.seconds
        run.commits = tuple(dict.fromkeys([*sitting.commits, *run.commits]))
        step = sitting.step
    run.forget_after(step)
    return step


class _Sitting(BaseModel):
    """What a checkpoint says of the training so far."""

    model_config = ConfigDict(allow_inf_nan=False)

    step: int = Field(ge=0)
    seconds: float = Field(ge=0)
    commits: tuple[str, ...]


def check_facts(path: Path, had: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Refuse to go on with a run of other facts; what was written before a fact existed passes.

    Raises:
        CheckpointError: a fact is another.
    """
    for name, value in facts.items():
        if had.get(name, value) != value:
            raise CheckpointError(f"{path} has {name} {had[name]}, not {value}; choose another run folder")


class _Record(BaseModel):
    """What every reader of a run.json relies on; there may be more."""

    model_config = ConfigDict(allow_inf_nan=False)

    data: tuple[str, ...]
    pretrained: str
    start_data: tuple[str, ...] = ()
    taught_by: str = ""
    teacher_data: tuple[str, ...] = ()
    masked: float = 0


def read_record(folder: Path) -> dict[str, Any]:
    """A finished run's run.json.

    Raises:
        CheckpointError: the folder holds no finished run, or its record is damaged.
    """
    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{folder}: no finished run here (no {path.name}); train it first") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        raise _damaged(path, error) from error
    return record


def is_finished(folder: Path) -> bool:
    """True once a run's trained weights and its record are written.

    Raises:
        CheckpointError: they are there, but can't be read.
    """
    if not ((folder / RECORD).exists() and (folder / WEIGHTS).exists()):
        return False
    read_record(folder)
    try:
        check_header(folder / WEIGHTS)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder}: finished, but its {WEIGHTS} is damaged; remove the folder and train it again"
        ) from error
    return True


def load_run(folder: Path, kind: type[Recipe]) -> tuple[Recipe, dict[str, Tensor]]:
    """The recipe and the trained weights of a finished run.

    Raises:
        CheckpointError: the folder holds no finished run, one of another kind, or a damaged one.
    """
    tensors, meta = load_tensors(folder / WEIGHTS)
    try:
        recipe = kind.model_validate(meta["recipe"])
    except (KeyError, ValidationError) as error:
        raise CheckpointError(f"{folder}: the run has no {kind.__name__}; choose a run of that kind") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{folder / WEIGHTS}: {name} has values that are no numbers; train it again")
    return recipe, tensors


def fill(network: Network, tensors: Mapping[str, Tensor], folder: Path) -> Network:
    """Give a network a finished run's weights, and put it in evaluation mode.

    Raises:
        CheckpointError: they are another network's.
    """
    try:
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{folder}: its weights don't fit its recipe; train it again") from error
    return network.eval()


def _damaged(path: Path, error: Exception) -> CheckpointError:
    first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error).splitlines()[0]
    return CheckpointError(f"{path}: damaged ({first}); choose another run folder")
