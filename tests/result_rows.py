"""Rows of results, for the tests of whoever reads or writes them."""

from __future__ import annotations

from spiralage.evaluation.results import LopoRow, RestorationRow

ROW = LopoRow(
    estimator="AlexNet, mean-variance",
    trained_on="UTKFace → FG-NET, unmasked",
    faces="unmasked",
    condition="original",
    mae=4.5,
    mae_low=4.0,
    mae_high=5.125,
    mae_by_person=4.75,
    cs5=0.6543,
    images=12,
    persons=3,
    recipe="a",
    seed=1,
    commit="0123456789ab+changes",
    hardware="A CPU, 2 cores; a GPU",
)


def changed(row: LopoRow, **values: object) -> LopoRow:
    return row.model_copy(update=values)


CONSTANT = changed(ROW, estimator="constant", trained_on="FG-NET's ages", faces="", condition="any", recipe="", seed=0)
RESTORED = RestorationRow(
    data="FG-NET",
    occluder="paper",
    restorer="imagine",
    psnr=12.346,
    psnr_hidden=11.1,
    ssim=0.6,
    ssim_hidden=0.4321,
    l1=0.1,
    l1_hidden=0.1333,
    lpips=0.32567,
    feature_fid=0.12344,
    imagenet_fid=1234.56,
    visible_identical=0.9999999,
    images=1002,
    features="vgg-age",
    weights="imagine (seed 1)",
    seed=0,
    commit="0123456789ab",
    hardware="A CPU, 2 cores; a GPU",
)
