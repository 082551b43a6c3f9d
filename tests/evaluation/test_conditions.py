"""What is done to a face: what is visible stays, what is hidden is filled as the condition says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from people import people, write_people
from synthetic import drawn_crop, write_shard

from spiralage import weights
from spiralage.datasets.crops import Crops, Indices
from spiralage.evaluation import conditions
from spiralage.evaluation.conditions import Condition, all_conditions, pictures_under, prepared_conditions
from spiralage.evaluation.results import ConditionKey
from spiralage.mean_face import mean_face, mean_landmarks
from spiralage.occlusion.occluders import FOLLOWING, OCCLUDERS, OccluderName
from spiralage.occlusion.window import paper_mask
from spiralage.restoration.restore import RESTORERS, make_restorer
from spiralage.types import Doubles, Mask, Pixels

HIDDEN = paper_mask().mask
FIRST = np.array([0])


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_people(tmp_path_factory.mktemp("conditions") / "crops")


@pytest.fixture(scope="module")
def under(crops: Crops) -> dict[str, Pixels]:
    """Label → all crops under the condition."""
    everything = crops.take(np.arange(len(crops)))
    return {
        condition.key.label: condition.apply(everything, np.arange(len(everything))) for condition in all_conditions()
    }


def test_the_order_of_the_table() -> None:
    labels = [condition.key.label for condition in all_conditions()]
    restored = [f"restored {name}" for name in RESTORERS if name != "none"]
    assert labels == ["original", "masked none", "masked mean-colour", *restored]
    assert len(set(labels)) == len(labels)
    assert all_conditions()[0].key == ConditionKey("original")
    assert all_conditions()[2].key == ConditionKey("masked", "paper", "mean-colour")


def test_what_is_visible_is_untouched(crops: Crops, under: dict[str, Pixels]) -> None:
    everything = crops.take(np.arange(len(crops)))
    for pictures in under.values():
        assert pictures.dtype == np.uint8
        assert pictures.shape == everything.shape
        np.testing.assert_array_equal(pictures[:, ~HIDDEN], everything[:, ~HIDDEN])
    np.testing.assert_array_equal(under["original"], everything)


def test_what_is_hidden_is_filled(under: dict[str, Pixels]) -> None:
    assert not under["masked none"][:, HIDDEN].any()
    mean = mean_face().reshape(-1, 3).astype(np.float64).mean(axis=0)
    colours = np.unique(under["masked mean-colour"][:, HIDDEN].reshape(-1, 3), axis=0)
    assert colours.shape == (1, 3)
    np.testing.assert_allclose(colours[0], mean, atol=0.51)
    restored = [pictures[:, HIDDEN] for label, pictures in under.items() if label.startswith("restored")]
    for index, pictures in enumerate(restored):
        assert len(np.unique(pictures)) > 10
        assert not any(np.array_equal(pictures, other) for other in restored[:index])


def test_a_hidden_pixel_changes_nothing(crops: Crops) -> None:
    one = crops.take(np.array([0]))
    other = np.where(HIDDEN[None, :, :, None], 255 - one, one)
    for condition in all_conditions()[1:]:
        np.testing.assert_array_equal(condition.apply(one, FIRST), condition.apply(other, FIRST))


def test_pictures_come_in_order_and_in_batches(
    crops: Crops, under: dict[str, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "BATCH", 2)
    masked = all_conditions()[1]
    batches = list(pictures_under(masked, crops, np.array([7, 0, 3])))
    assert [len(batch) for batch in batches] == [2, 1]
    np.testing.assert_array_equal(np.concatenate(batches), under["masked none"][[7, 0, 3]])


def test_prepared_pictures_are_the_same_and_made_once(
    crops: Crops, under: dict[str, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        prepared = list(prepared_conditions(crops, all_conditions()))
        for pictures, expected in zip(prepared, under.values(), strict=True):
            np.testing.assert_array_equal(pictures, expected)

        def never(condition: Condition, *_: object) -> Pixels:
            raise AssertionError(f"{condition.key.label} is made again")

        monkeypatch.setattr(Condition, "apply", never)
    made = sorted(path.name.rsplit("-", 2)[0] for path in (crops.folder / "conditions").iterdir())
    assert made == sorted(label.replace(" ", "-") for label in under if label != "original")


def test_a_failure_leaves_no_half_written_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = write_people(tmp_path / "crops")
    monkeypatch.setattr(conditions, "BATCH", 8)
    real, calls = Condition.apply, []

    def fails_at_the_second_batch(
        condition: Condition, pictures: Pixels, positions: Indices, landmarks: Doubles | None
    ) -> Pixels:
        calls.append(len(pictures))
        if len(calls) == 2:
            raise RuntimeError("no more")
        return real(condition, pictures, positions, landmarks)

    monkeypatch.setattr(Condition, "apply", fails_at_the_second_batch)
    with pytest.raises(RuntimeError, match="no more"):
        list(prepared_conditions(crops, all_conditions()))
    assert calls == [8, 4]
    assert list((crops.folder / "conditions").iterdir()) == []


def test_other_weights_make_other_pictures_of_their_own_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = write_shard(tmp_path / "crops", people()[:1], [drawn_crop(30, np.random.default_rng(0))])
    folder = crops.folder / "conditions"
    shipped = weights.manifest()

    def prepare_with(changed: str) -> list[str]:
        """Which files there are once the SHA-256 of one shipped file is another."""
        entries = {n: replace(e, sha256="0" * 64) if n == changed else e for n, e in shipped.items()}
        monkeypatch.setattr(conditions, "weights", SimpleNamespace(manifest=lambda: entries))
        for _ in prepared_conditions(crops, all_conditions()):
            pass
        return sorted(path.name.rsplit("-", 2)[0] for path in folder.iterdir())

    labels = sorted(c.key.label.replace(" ", "-") for c in all_conditions() if c.key.label != "original")
    age = next(name for name, entry in shipped.items() if entry.kind == "age")
    assert prepare_with("") == labels
    assert prepare_with(age) == labels
    assert prepare_with("slices-paint") == sorted([*labels, "restored-spiral"])
    imagined = sorted([*labels, "restored-imagine", "restored-spiral", "restored-spiral"])
    assert prepare_with("imagine") == imagined
    assert prepare_with("mean-face") == sorted([*imagined, "masked-mean-colour", "restored-mean-face"])


def test_int8_variants_are_known_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    spiral = all_conditions()[-1]
    assert spiral.key.label == "restored spiral"
    monkeypatch.setenv("SPIRALAGE_ENGINE", "openvino-int8")
    before, shipped = spiral.version, weights.manifest()
    for name, matters in (("slices-paint-int8", True), ("slices-paint", False), ("slices-context", True)):
        entries = shipped | {name: replace(shipped[name], sha256="0" * 64)}
        monkeypatch.setattr(conditions, "weights", SimpleNamespace(manifest=lambda entries=entries: entries))
        assert (spiral.version != before) == matters, name


def test_engines_are_known_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files may give other pictures on another engine: what one made is not to be taken for the other's."""
    versions: dict[str, str] = {}
    for engine in ("onnxruntime", "openvino", "openvino-bf16"):
        monkeypatch.setenv("SPIRALAGE_ENGINE", engine)
        versions[engine] = Condition("restored", Painted("a"), "paper").version
    assert len(set(versions.values())) == 3


def test_occluders_are_known_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (Condition("covered", None, name) for name in ("scarf", "sunglasses"))
    assert one.version != other.version
    assert Condition("original").version == ""
    before = one.version
    drawn = {**OCCLUDERS, "scarf": OCCLUDERS["sunglasses"]}
    monkeypatch.setattr(conditions, "OCCLUDERS", drawn)
    assert one.version != before  # another drawing: pictures are made anew
    assert one.version == other.version


@pytest.mark.parametrize("name", ["scarf", "random-window"])
def test_a_pictures_cover_depends_on_its_position_alone(crops: Crops, name: OccluderName) -> None:
    covered = Condition("covered", None, name)
    everything = covered.apply(crops.take(np.arange(12)), np.arange(12))
    some = np.array([7, 0])
    np.testing.assert_array_equal(covered.apply(crops.take(some), some), everything[some])
    cover = OCCLUDERS[name](mean_landmarks(), np.random.default_rng(7))
    np.testing.assert_array_equal(everything[7], cover.over(crops.take(some)[0]))
    blank = Condition("masked", make_restorer("none"), name).apply(crops.take(some), some)
    np.testing.assert_array_equal(blank[0], np.where(cover.mask[..., None], 0, crops.take(some)[0]))


def test_landmarks_move_the_cover(crops: Crops) -> None:
    one = crops.take(FIRST)
    moved = (mean_landmarks() + (0, -20))[None]
    there = Condition("covered", None, "sunglasses").apply(one, FIRST, moved)
    expected = OCCLUDERS["sunglasses"](moved[0], np.random.default_rng(0)).over(one[0])
    np.testing.assert_array_equal(there[0], expected)


def test_covers_lie_where_the_crops_landmarks_are_and_are_made_anew_with_them(tmp_path: Path) -> None:
    crops = write_shard(tmp_path / "crops", people()[:1], [drawn_crop(30, np.random.default_rng(0))])
    asked = [Condition("covered", None, "sunglasses"), Condition("masked", make_restorer("none"), "paper")]
    before = [np.array(one) for one in prepared_conditions(crops, asked)]
    moved = (mean_landmarks() + (0, -20)).astype(np.float32)
    np.save(crops.folder / "landmarks-0000.npy", moved[None])
    after = [np.array(one) for one in prepared_conditions(Crops(crops.folder), asked)]
    cover = OCCLUDERS["sunglasses"](moved.astype(np.float64), np.random.default_rng(0))
    np.testing.assert_array_equal(after[0][0], cover.over(crops.take(FIRST)[0]))
    assert not np.array_equal(before[0], after[0])
    made = sorted(path.name.rsplit("-", 2)[0] for path in (crops.folder / "conditions").iterdir())
    assert made == ["covered-sunglasses", "covered-sunglasses", "masked-none"]  # the paper's mask is where it was


@pytest.mark.parametrize("name", OCCLUDERS)
def test_it_is_known_which_occluders_follow_landmarks(name: OccluderName) -> None:
    one, other = (OCCLUDERS[name](mean_landmarks() + by, np.random.default_rng(0)).mask for by in (0, 9))
    assert np.array_equal(one, other) == (name not in FOLLOWING)


@pytest.mark.parametrize("data", [b"", b"not an array", None])
def test_damaged_pictures_are_made_anew(tmp_path: Path, data: bytes | None) -> None:
    crops = write_shard(tmp_path / "crops", people()[:1], [drawn_crop(30, np.random.default_rng(0))])
    masked = Condition("masked", make_restorer("none"), "paper")
    (before,) = (np.array(one) for one in prepared_conditions(crops, [masked]))
    (path,) = (crops.folder / "conditions").iterdir()
    np.save(path, before[:0]) if data is None else path.write_bytes(data)
    (after,) = prepared_conditions(crops, [masked])
    np.testing.assert_array_equal(after, before)


class Painted:
    """A restorer that doesn't ship; ``version`` tells its weights."""

    name = "painted"
    networks: tuple[str, ...] = ()

    def __init__(self, version: str) -> None:
        self.version = version

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        return np.full_like(crops, 9)


def test_restorers_that_do_not_ship_come_last_and_have_versions() -> None:
    one, other = (all_conditions([Painted(version)])[-1] for version in ("a", "b"))
    assert one.key.label == "restored painted"
    assert one.version != other.version
    assert one.version == all_conditions([Painted("a")])[-1].version
