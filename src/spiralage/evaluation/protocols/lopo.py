"""``spiralage evaluate lopo``: leave one person out, the paper's protocol on FG-NET.

For each person a network is fine-tuned on all others and asked about that person's pictures under every
condition. One file a fold, so a killed run goes on at the first fold that is missing:

    RUN/FACES/identity.json        recipe, start weights, crops, restorers: what the folds belong to
    RUN/FACES/views.npy            frozen layers' answers to augmented pictures, to train on
    RUN/FACES/answers.npy          … to the pictures under every condition, as they are and mirrored, to test on
    RUN/FACES/inner-NUMBER.json    what candidates are worth, where the recipe has some: see ``lopo_inner``
    RUN/FACES/PERSON.safetensors   probabilities, (conditions, images, 101) float32

FACES is the block: unmasked or masked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from spiralage.datasets import fgnet
from spiralage.datasets.crops import Crops, Indices
from spiralage.distribution import MAX_AGE, expected_age
from spiralage.errors import CheckpointError, DatasetError
from spiralage.evaluation.conditions import BATCH, Condition, all_conditions, prepared_conditions
from spiralage.evaluation.protocols.lopo_inner import Errors, chosen_for, inner_groups, write_errors
from spiralage.evaluation.workers import Task, share
from spiralage.files import sha256_of, write_text
from spiralage.networks.age import AgeNetwork
from spiralage.occlusion.occluders import OccluderName
from spiralage.provenance import commit, hardware
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.fine_tune import fine_tune, read_array, write_answers, write_views
from spiralage.training.pretrained import TITLES, learned_from
from spiralage.training.recipes import Block, FineTuning, LopoRecipe
from spiralage.training.restorers import RunRestorer
from spiralage.training.run import WEIGHTS, read_record
from spiralage.training.tasks.age import load_age_network
from spiralage.types import Floats, Pixels

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Plan:
    """All that a fold needs to know; small, so that it can be sent to another process.

    Args:
        recipe: what to do.
        crops: folder of the data set's aligned crops.
        starts: folder that holds the runs that the blocks start from.
        run: folder of this experiment.
        device: where to compute.
        partial: take a part of FG-NET.
        precision: see ``make_fabric``.
        commit: of the code that runs, not of the moment a fold ends.
    """

    recipe: LopoRecipe
    crops: Path
    starts: Path
    run: Path
    device: Device = "auto"
    partial: bool = False
    precision: Precision = "auto"
    commit: str = field(default_factory=commit)

    def fold_path(self, block: Block, person: str) -> Path:
        return self.run / block.faces / f"{person}.safetensors"

    def views_path(self, block: Block) -> Path:
        return self.run / block.faces / "views.npy"

    def answers_path(self, block: Block) -> Path:
        return self.run / block.faces / "answers.npy"

    def inner_path(self, block: Block, number: int) -> Path:
        return self.run / block.faces / f"inner-{number:02}.json"

    @property
    def views(self) -> int:
        """How many times each picture is seen in training, each time augmented anew."""
        return math.ceil(max(settings.epochs for settings in self.recipe.settings))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What every picture is shown under."""
        return _conditions(self.starts, self.recipe.ablations, self.recipe.occluders)

    @property
    def sets(self) -> int:
        """How many times each picture is asked about: under every condition, and mirrored if the recipe says so."""
        return len(self.conditions) * (2 if self.recipe.mirror else 1)


@lru_cache(maxsize=1)  # beside the plan, not in it: networks can't be sent to another process
def _conditions(runs: Path, ablations: tuple[str, ...], occluders: tuple[OccluderName, ...]) -> tuple[Condition, ...]:
    return all_conditions([RunRestorer(runs / name, runs) for name in ablations], occluders)


def persons_of(crops: Crops) -> list[str]:
    """Everybody in the data set, sorted: one fold each."""
    return sorted({row.subject for row in crops.rows})


def pictures_of(crops: Crops, person: str, *, others: bool = False) -> Indices:
    """The positions of a person's pictures, or of everybody else's."""
    return np.array([i for i, row in enumerate(crops.rows) if (row.subject == person) != others], dtype=np.int64)


def run_lopo(plan: Plan, *, workers: int = 1, progress: Progress = lambda done, total, what: None) -> None:
    """Do what is still missing of a leave-one-person-out experiment.

    Args:
        plan: the experiment.
        workers: processes that share the folds; each computes on one CPU thread.
        progress: told (done, in all, of what).

    Raises:
        CheckpointError: the folder holds another experiment, or a start run isn't finished or has seen FG-NET.
        DatasetError: the crops aren't FG-NET's, or not all of them and the plan doesn't take a part.
    """
    crops = Crops(plan.crops)
    _check_crops(plan, crops)
    for block in plan.recipe.blocks:
        _claim(plan, block, crops)  # all of them before the first, which takes long
    for block in plan.recipe.blocks:
        persons = persons_of(crops)
        missing = [person for person in persons if not plan.fold_path(block, person).exists()]
        if missing:
            _prepare(plan, block, crops, progress)
        if missing and plan.recipe.candidates:
            groups = [number for number, _ in enumerate(inner_groups(persons, plan.recipe.seed))]
            groups = [number for number in groups if not plan.inner_path(block, number).exists()]
            for done, _ in enumerate(_shared(partial(run_inner, plan, block), groups, workers), 1):
                progress(done, len(groups), f"inner folds, {block.faces}")
        done = len(persons) - len(missing)
        for _ in _shared(partial(run_fold, plan, block), missing, workers):
            done += 1
            progress(done, len(persons), f"folds, {block.faces}")


def _check_crops(plan: Plan, crops: Crops) -> None:
    crops.check_data("fgnet")
    found = (len(crops), len(persons_of(crops)))
    if found != (fgnet.IMAGES, fgnet.PERSONS) and not plan.partial:
        raise DatasetError(
            f"{plan.crops} has {found[0]} images of {found[1]} persons, FG-NET {fgnet.IMAGES} of {fgnet.PERSONS}; "
            "make the crops anew, or take what is there with --partial"
        )


def _shared(work: Callable[[Task], object], tasks: Sequence[Task], workers: int) -> Iterator[None]:
    if workers > 1:
        yield from share(work, tasks, workers, partial(torch.set_num_threads, 1))
        return
    for task in tasks:
        work(task)
        yield


def _claim(plan: Plan, block: Block, crops: Crops) -> None:
    """Check the start, and write down what the folder's folds belong to or find that they belong to something else."""
    start = start_of(plan, block)
    for settings in plan.recipe.settings:
        load_age_network(start)[1].split(settings.freeze)
    path = plan.run / block.faces / "identity.json"
    identity = {
        "recipe": plan.recipe.model_dump(mode="json", exclude={"blocks"}) | block.model_dump(mode="json"),
        "start": sha256_of(start / WEIGHTS),
        "crops": crops.identity,
        "conditions": {condition.key.label: condition.version for condition in plan.conditions},
    }
    if path.exists() and _identity_in(path) != identity:
        raise CheckpointError(f"{path.parent} holds another experiment; choose another folder with --run, or remove it")
    write_text(path, json.dumps(identity, indent=2) + "\n")


def _identity_in(path: Path) -> dict[str, object]:
    """What a folder's folds belong to; recipes of former versions read as this version reads them."""
    try:
        identity: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        recipe = dict(identity["recipe"])  # type: ignore[call-overload]
        block = Block(faces=recipe.pop("faces"), start=recipe.pop("start"))
        whole = LopoRecipe.model_validate(recipe | {"blocks": (block,)})
    except (OSError, ValueError, KeyError, TypeError) as error:  # not UTF-8, no JSON, no such recipe
        raise CheckpointError(
            f"{path}: damaged ({type(error).__name__}); remove its folder, or name another with --run"
        ) from error
    return identity | {"recipe": whole.model_dump(mode="json", exclude={"blocks"}) | block.model_dump(mode="json")}


def start_of(plan: Plan, block: Block) -> Path:
    """The run that a block's folds start from.

    Raises:
        CheckpointError: it isn't finished, or has seen FG-NET.
    """
    folder = plan.starts / block.start
    if not (folder / WEIGHTS).exists():
        raise CheckpointError(f"{folder}: no finished run; run: spiralage train age recipes/{block.start}.toml")
    if any(TITLES["fgnet"] in data for data in learned_from(read_record(folder))):  # masked, joined or a teacher's too
        raise CheckpointError(f"{folder} has learned from FG-NET: nobody could be left out; start from another run")
    return folder


def _prepare(plan: Plan, block: Block, crops: Crops, progress: Progress) -> None:
    """Run the frozen layers, once for all folds."""
    network = load_age_network(start_of(plan, block))[1]
    fabric, settings = make_fabric(plan.device, precision=plan.precision), plan.recipe.fine_tuning
    if not plan.views_path(block).exists():
        write_views(
            plan.views_path(block),
            network,
            crops,
            settings.model_copy(update={"epochs": plan.views}),
            fabric,
            seed=plan.recipe.seed,
            masked=block.faces == "masked",
            progress=lambda done: progress(done, plan.views * len(crops), f"views, {block.faces}"),
        )
    if not plan.answers_path(block).exists():
        write_answers(
            plan.answers_path(block),
            network,
            _asked(plan, crops),
            plan.sets * len(crops),
            settings,
            fabric,
            progress=lambda done: progress(done, plan.sets * len(crops), f"conditions, {block.faces}"),
        )


def _asked(plan: Plan, crops: Crops) -> Iterator[Pixels]:
    """Every picture under every condition, then all of that mirrored, in batches."""
    for mirrored in (False, True)[: 1 + plan.recipe.mirror]:
        for pictures in prepared_conditions(crops, plan.conditions):
            for start in range(0, len(pictures), BATCH):
                batch = np.array(pictures[start : start + BATCH])  # PyTorch wants no read-only memory map
                yield np.ascontiguousarray(batch[:, :, ::-1]) if mirrored else batch


def run_fold(plan: Plan, block: Block, person: str) -> None:
    """Fine-tune without one person, ask about that person's pictures, write the probabilities."""
    crops, fabric, chosen = _opened(plan.crops), _fabric(plan.device, plan.precision), 0
    if plan.recipe.candidates:
        groups = inner_groups(persons_of(crops), plan.recipe.seed)
        path = plan.inner_path(block, next(number for number, group in enumerate(groups) if person in group))
        chosen = chosen_for(person, path, len(plan.recipe.candidates))
    probabilities = _answered(plan, block, (person,), plan.recipe.settings[chosen])
    facts = {"person": person, "commit": plan.commit, "hardware": hardware(fabric.device.type), "candidate": chosen}
    save_tensors(plan.fold_path(block, person), {"probabilities": probabilities}, facts)


def run_inner(plan: Plan, block: Block, number: int) -> None:
    """Fine-tune without a group of persons, once for every candidate, and write the errors on their pictures.

    They are errors on originals, or on masked faces where those are what the block's networks know.
    """
    crops = _opened(plan.crops)
    group = inner_groups(persons_of(crops), plan.recipe.seed)[number]
    shown = [c.key.condition for c in plan.conditions].index("masked" if block.faces == "masked" else "original")
    errors: Errors = {person: [] for person in group}
    for settings in plan.recipe.settings:
        estimates = expected_age(_answered(plan, block, group, settings)[shown].cpu().numpy())
        start = 0
        for person in group:
            ages = crops.ages[pictures_of(crops, person)]
            errors[person].append(np.abs(estimates[start : start + len(ages)] - ages).tolist())
            start += len(ages)
    write_errors(plan.inner_path(block, number), errors)


def _answered(plan: Plan, block: Block, persons: Sequence[str], settings: FineTuning) -> Tensor:
    """What a network fine-tuned without some persons says of their pictures: (conditions, n, 101), person by person."""
    crops, network = _opened(plan.crops), _network(plan.starts / block.start)
    fabric, kept = _fabric(plan.device, plan.precision), plan.recipe.fine_tuning.freeze
    views, answers = (read_array(path, len(crops)) for path in (plan.views_path(block), plan.answers_path(block)))
    test = np.concatenate([pictures_of(crops, person) for person in persons])
    train = np.setdiff1d(np.arange(len(crops)), test)
    # Every fold has the same seed: folds differ in their persons alone.
    tuned = fine_tune(
        network, views, torch.from_numpy(crops.ages), train, settings, plan.recipe.seed, fabric, kept=kept
    )
    with torch.no_grad():
        asked = (torch.from_numpy(one[test]).to(fabric.device).float() for one in answers)
        each = torch.stack([tuned(x) for x in asked])  # (sets, n, 101)
    return each.reshape(1 + plan.recipe.mirror, -1, *each.shape[1:]).mean(dim=0)


def read_fold(plan: Plan, block: Block, person: str, pictures: int) -> tuple[Floats, dict[str, str]]:
    """What a fold has answered.

    Args:
        plan, block, person: whose fold.
        pictures: how many of that person there are.

    Returns:
        (conditions, pictures, 101) float32 probabilities, and the facts: commit and hardware.

    Raises:
        CheckpointError: it is missing or damaged, or has other conditions or pictures.
    """
    path = plan.fold_path(block, person)
    tensors, facts = load_tensors(path)
    expected = (len(plan.conditions), pictures, MAX_AGE + 1)
    answers = tensors.get("probabilities", torch.empty(0)).numpy()
    if answers.shape != expected or not np.isfinite(answers).all() or not {"commit", "hardware"} <= set(facts):
        raise CheckpointError(f"{path}: not a fold of this experiment; remove it, and the same command computes it")
    return answers, facts


@lru_cache(maxsize=1)
def _opened(folder: Path) -> Crops:
    return Crops(folder)


@lru_cache(maxsize=2)
def _network(run: Path) -> AgeNetwork:
    return load_age_network(run)[1]


@lru_cache(maxsize=1)
def _fabric(device: Device, precision: Precision) -> Fabric:
    return make_fabric(device, precision=precision)
