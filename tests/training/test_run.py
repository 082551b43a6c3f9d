"""The folder of a run: when a checkpoint is due, who writes, what it goes on from, what TensorBoard shows."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from synthetic import FLOAT32, age_recipe
from torch import nn

from spiralage.errors import CheckpointError, OptionError, RecipeError
from spiralage.training import run as module
from spiralage.training.checkpoint import load_tensors
from spiralage.training.fabric import make_fabric
from spiralage.training.loop import seed_step, share_of
from spiralage.training.optimisers import make_optimiser, set_learning_rate
from spiralage.training.recipes import Optimiser
from spiralage.training.run import NOTE_EVERY, Run, resume


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def timed_run(folder: Path, clock: Clock, minutes: float | None = None, **changes: Any) -> Run:
    return Run(folder, age_recipe(**changes), "cpu", minutes, 60, _start=clock.now, _saved=clock.now)


def test_a_checkpoint_is_due_every_few_minutes(tmp_path: Path, clock: Clock) -> None:
    run = timed_run(tmp_path, clock, save_every_epochs=100)
    due = []
    for _ in range(10):
        clock.now += 25
        due.append(run.due_to_save(0.5))
    assert due == [False, False, True] * 3 + [False]


@pytest.mark.parametrize(
    ("every", "expected"), [(1, [4, 8]), (0.5, [2, 4, 6, 8, 10]), (2, [8]), (0.75, [3, 6, 9])], ids=str
)
def test_a_checkpoint_is_due_every_few_epochs(tmp_path: Path, clock: Clock, every: float, expected: list[int]) -> None:
    run = timed_run(tmp_path, clock, save_every_epochs=every)
    assert [step for step in range(1, 12) if run.due_to_save(step / 4)] == expected


def test_either_makes_it_due_and_starts_the_time_anew(tmp_path: Path, clock: Clock) -> None:
    run = timed_run(tmp_path, clock)
    clock.now += 50
    assert run.due_to_save(1.0)
    clock.now += 50  # 100 seconds since the start, 50 since the last
    assert not run.due_to_save(1.5)
    clock.now += 10
    assert run.due_to_save(1.75)
    assert not run.due_to_save(1.75)


def test_the_time_is_out(tmp_path: Path, clock: Clock) -> None:
    run = timed_run(tmp_path, clock, minutes=2)
    clock.now += 119
    assert not run.out_of_time(make_fabric(**FLOAT32))
    clock.now += 2
    assert run.out_of_time(make_fabric(**FLOAT32))
    assert not timed_run(tmp_path, clock).out_of_time(make_fabric(**FLOAT32))
    assert timed_run(tmp_path, clock, minutes=float("nan")).out_of_time(make_fabric(**FLOAT32))


def test_a_budget_of_time_has_minutes(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="give --minutes"):
        Run(tmp_path / "run", age_recipe(), "cpu", finishes=True)
    assert not (tmp_path / "run").exists()


def test_a_budget_of_time_counts_earlier_sittings(tmp_path: Path, clock: Clock) -> None:
    fabric = make_fabric(**FLOAT32)
    run = timed_run(tmp_path, clock, minutes=2)
    run.seconds_before = 100
    clock.now += 30
    assert not run.out_of_time(fabric)  # of this sitting
    run.finishes = True
    assert run.out_of_time(fabric)
    run.seconds_before = 80
    assert not run.out_of_time(fabric)


def parts() -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
    network = nn.Linear(2, 2)
    return {"network": network}, {"optimiser": make_optimiser(Optimiser(learning_rate=0.1), network)}


def test_it_goes_on_from_the_same_data_alone(tmp_path: Path, clock: Clock) -> None:
    run = timed_run(tmp_path, clock)
    modules, optimisers = parts()
    clock.now += 7
    run.save(modules, optimisers, 5, {"data": ["imdb", "utkface"]})
    others = parts()
    again = timed_run(tmp_path, clock)
    assert resume(again, *others, {"data": ["imdb", "utkface"]}) == 5
    assert again.seconds == 7
    assert torch.equal(cast(nn.Linear, others[0]["network"]).weight, cast(nn.Linear, modules["network"]).weight)
    with pytest.raises(CheckpointError, match=r"data \['imdb', 'utkface'\], not \['utkface'\]; choose another run"):
        resume(again, *parts(), {"data": ["utkface"]})
    assert resume(timed_run(tmp_path / "other", clock), *parts(), {"data": ["utkface"]}) == 0


def test_one_process_writes(tmp_path: Path) -> None:
    quiet = Run(tmp_path / "run", age_recipe(), "cpu", writes=False)
    modules, optimisers = parts()
    quiet.note(NOTE_EVERY, {"loss": 1.0})
    quiet.log(4, {"loss": 1.0})
    quiet.save(modules, optimisers, 4)
    quiet.finish(modules["network"], {}, step=4)
    assert not (tmp_path / "run").exists()
    Run(tmp_path / "run", age_recipe(), "cpu")
    with pytest.raises(CheckpointError, match="another recipe"):
        Run(tmp_path / "run", age_recipe(seed=4), "cpu", writes=False)


def test_a_finished_run_says_what_it_was(tmp_path: Path) -> None:
    run = Run(tmp_path, age_recipe(), "cpu")
    modules, optimisers = parts()
    run.save(modules, optimisers, 4)
    assert not run.is_complete
    run.finish(modules["network"], {"data": ["utkface"], "pretrained": "", "steps": 12}, step=12)
    assert run.is_complete
    assert not run.checkpoint.exists()
    facts = json.loads((tmp_path / "run.json").read_text())
    expected = {"recipe": "tiny", "seed": 3, "data": ["utkface"], "steps": 12, "commit": run.commits[0]}
    assert facts.items() >= expected.items()
    meta = load_tensors(tmp_path / "weights.safetensors")[1]
    assert meta["recipe"] == age_recipe().model_dump(mode="json")


def of(rank: int, world: int) -> Fabric:
    return cast(Fabric, SimpleNamespace(global_rank=rank, world_size=world))


@pytest.mark.parametrize("world", [1, 2, 3, 12])
def test_the_shares_together_are_the_batch(world: int) -> None:
    chosen = np.random.default_rng(0).permutation(100)[:12]
    shares = [share_of(chosen, of(rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {12 // world}
    assert sorted(np.concatenate(shares)) == sorted(chosen)


def test_a_batch_that_can_not_be_shared_evenly_is_told() -> None:
    for rank in range(5):
        with pytest.raises(RecipeError, match="a batch of 12 can't be shared by 5; make batch a multiple"):
            share_of(np.arange(12), of(rank, 5))


def test_what_is_random_depends_on_seed_step_and_rank() -> None:
    def draw(*arguments: int) -> float:
        seed_step(*arguments)
        return float(torch.rand(()))

    assert draw(1, 2) == draw(1, 2) == draw(1, 2, 0)
    assert len({draw(seed, step, rank) for seed in (1, 2) for step in (1, 2) for rank in (0, 1, 2)}) == 12


def test_the_learning_rate_falls_in_steps() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=9.0)

    def rates(settings: Optimiser, steps: int) -> list[float]:
        found = []
        for step in range(steps):
            set_learning_rate(optimiser, settings, step, steps)
            found.append(float(optimiser.param_groups[0]["lr"]))
        return found

    step = Optimiser(learning_rate=8.0, schedule="step", milestones=(0.3, 0.8), factor=0.5)
    assert rates(step, 10) == [8, 8, 8, 4, 4, 4, 4, 4, 2, 2]
    warm = step.model_copy(update={"warmup_steps": 4})
    assert rates(warm, 10) == [2, 4, 6, 4, 4, 4, 4, 4, 2, 2]
    assert rates(Optimiser(learning_rate=8.0, schedule="step"), 3) == [8, 8, 8]
    tenth = Optimiser(learning_rate=8.0, schedule="step", milestones=(0.5,))
    assert rates(tenth, 4) == pytest.approx([8, 8, 0.8, 0.8])


@pytest.mark.parametrize("file", ["weights.safetensors", "run.json"])
@pytest.mark.parametrize("cut", [0, 4, -1, None])
def test_a_finished_run_that_is_damaged_is_not_complete(tmp_path: Path, file: str, cut: int | None) -> None:
    run = Run(tmp_path, age_recipe(), "cpu")
    run.finish(parts()[0]["network"], {"data": ["utkface"], "pretrained": ""}, step=12)
    assert run.is_complete
    path = tmp_path / file
    if cut is None:
        path.write_text("junk")
    else:
        path.write_bytes(path.read_bytes().rstrip()[:cut])
    with pytest.raises(CheckpointError, match="damaged"):
        _ = run.is_complete
