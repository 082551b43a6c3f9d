"""Tables of a former version are brought into the present form; the numbers stay."""

from __future__ import annotations

from pathlib import Path

from spiralage.evaluation.migrate import main
from spiralage.evaluation.results import (
    ConditionKey,
    HoldoutRow,
    LopoRow,
    PairedRow,
    PredictionRow,
    RestorationRow,
    read_rows,
)

ORIGIN = '1,abc,"A CPU, 2 cores"'
OLD = {
    "table1.csv": (
        "estimator,trained_on,condition,restorer,mae,mae_low,mae_high,mae_by_person,cs5,images,persons,recipe,seed,"
        "commit,hardware\n"
        f"constant,FG-NET's ages,any,,9.709,8.627,10.93,9.722,0.3713,1002,82,,{ORIGIN}\n"
        f'AlexNet,"UTKFace → FG-NET, unmasked",original,,6.19,5,7,6,0.5,1002,82,lopo-paper,{ORIGIN}\n'
        f'AlexNet,"UTKFace, masked → FG-NET, masked",restored,mean-face,6,5,7,6,0.5,1002,82,lopo-paper,{ORIGIN}\n'
    ),
    "lopo/lopo-paper.csv": (
        "image,person,age,found_by,trained_on,original,original_cdf,restored_mean-face,restored_mean-face_cdf\n"
        "1.JPG,001,2,yunet,masked,4.41,0.1579,18.53,0.0013\n"
    ),
    "paired.csv": (
        "recipe,trained_on,condition,against,difference,low,high,images,persons,seed,commit,hardware\n"
        f"lopo-paper,masked,restored_mean-face,masked_none,-0.282,-0.777,0.219,1002,82,{ORIGIN}\n"
    ),
    "utkface.csv": (
        "network,condition,mae,cs5,images,recipe,seed,commit,hardware,coverage90\n"
        f"constant 29 years,any,15.128,0.346,2214,,{ORIGIN},\n"
        f"mobilenet,masked mean-colour,4.704,0.6527,2214,best,{ORIGIN},0.9318\n"
    ),
    "restore.csv": (
        "data,window,restorer,psnr,psnr_hidden,ssim,ssim_hidden,l1,l1_hidden,feature_fid,inception_fid,"
        "visible_identical,images,features,weights,seed,commit,hardware\n"
        f"FG-NET,random,spiral,14.336,13,0.7,0.6,0.1,0.2,0.006701,,1.0,2214,alexnet,,{ORIGIN}\n"
        "CelebA-HQ (published),,SpiralNet,16.05,,0.6815,,,,,21.17,,,,,,,\n"
    ),
}


def write_old(folder: Path) -> None:
    (folder / "lopo").mkdir()
    for name, text in OLD.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_every_table_keeps_its_numbers(tmp_path: Path) -> None:
    write_old(tmp_path)
    main(tmp_path)
    constant, first, last = read_rows(tmp_path / "table1.csv", LopoRow)
    assert (constant.faces, constant.key, constant.mae, constant.mae_high) == ("", ConditionKey("any"), 9.709, 10.93)
    assert (first.faces, first.key, first.mae) == ("unmasked", ConditionKey("original"), 6.19)
    assert (last.block, last.key) == (("lopo-paper", "masked"), ConditionKey("restored", "paper", "mean-face"))
    answers = read_rows(tmp_path / "lopo" / "lopo-paper.csv", PredictionRow)
    assert [(a.faces, a.key, a.estimate, a.cdf) for a in answers] == [
        ("masked", ConditionKey("original"), 4.41, 0.1579),
        ("masked", ConditionKey("restored", "paper", "mean-face"), 18.53, 0.0013),
    ]
    (pair,) = read_rows(tmp_path / "paired.csv", PairedRow)
    assert (pair.faces, pair.restorer, pair.against_condition, pair.against_restorer) == (
        "masked",
        "mean-face",
        "masked",
        "none",
    )
    assert (pair.difference, pair.low, pair.high) == (-0.282, -0.777, 0.219)
    always, network = read_rows(tmp_path / "holdout.csv", HoldoutRow)
    assert always.data == network.data == "utkface"
    assert (always.coverage90, network.coverage90) == (None, 0.9318)
    assert network.key == ConditionKey("masked", "paper", "mean-colour")
    ours, published = read_rows(tmp_path / "restore.csv", RestorationRow)
    assert (ours.occluder, ours.feature_fid, ours.visible_identical) == ("random-window", 0.006701, 1)
    assert (published.occluder, published.inception_fid, published.psnr_hidden) == ("", 21.17, None)
    assert "| 9.71 | 8.63–10.93 |" in (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert "| 14.34 |" in (tmp_path / "restore.md").read_text(encoding="utf-8")


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    write_old(tmp_path)
    main(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    main(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
