"""Tables for readers, as Markdown: rows in, digits chosen here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from spiralage.evaluation.image_metrics import MOST_PSNR
from spiralage.evaluation.results import LopoRow, RestorationRow

PAPER = MappingProxyType({"original": 4.47, "masked": 11.33, "restored": 7.86})
"""Choi's Table 1: MAE in years over FG-NET, leave one person out; AlexNet, trained on unmasked faces."""

LOPO_HEAD = """# Table 1: FG-NET, leave one person out

Written by `spiralage evaluate lopo`. Mean absolute error in years over images, with the 95 % interval of a bootstrap
over persons; *by person* is the mean of the persons' own errors; CS@5 the part of images within 5 years. *Paper*:
Choi's AlexNet, pre-trained on IMDB-WIKI and UTKFace, and the difference to it; its restorer is SpiralNet. *Constant*:
always the median age of the training persons.

| estimator | trained on | condition | filled by | MAE | 95 % | by person | CS@5 | paper |
|---|---|---|---|---:|---:|---:|---:|---:|
"""


def lopo_page(rows: Sequence[LopoRow]) -> str:
    """Table 1, beside the paper's numbers.

    Args:
        rows: the constant predictor's first.
    """
    seen = sorted({(row.recipe, row.seed, row.commit, row.hardware) for row in rows if row.recipe})
    runs = [f"- `recipes/{name}.toml`, seed {seed}, commit {commit}, {machine}" for name, seed, commit, machine in seen]
    counted = f"{rows[0].images} images of {rows[0].persons} persons. Runs:"
    return LOPO_HEAD + "\n".join([*map(_lopo_line, rows), "", counted, "", *runs]) + "\n"


def _lopo_line(row: LopoRow) -> str:
    as_the_paper = row.faces == "unmasked" and row.occluder in ("", "paper")
    paper = PAPER.get(row.condition) if as_the_paper else None
    cells = (
        row.estimator,
        row.trained_on,
        row.condition if row.occluder in ("", "paper") else f"{row.condition}, {row.occluder}",
        row.restorer,
        f"{row.mae:.2f}",
        f"{row.mae_low:.2f}–{row.mae_high:.2f}",
        f"{row.mae_by_person:.2f}",
        f"{row.cs5:.3f}",
        "" if paper is None else f"{paper:.2f} ({row.mae - paper:+.2f})",
    )
    return "| " + " | ".join(cells) + " |"


RESTORATION_HEAD = f"""# Restoration: how near to the originals

Written by `spiralage evaluate restore`. Under *random-window*, *centre-window* and the *paper*'s mask a window of
128×128 pixels of the 256×256 crop stays visible: anywhere, in the middle (these two are SpiralNet's own test), or over
the eyes; restorers fill the rest. Every number but the distances is measured picture by picture, then averaged;
*images* says over how many.

What lies beyond a photo is hidden from the restorer, too, as the pipeline has it; most of it is UTKFace's, whose
pictures are cut closer than the crop. It is in no number: means are over pixels of the photo, and before distances are
taken the original's own border is put back.

- *PSNR*: peak signal-to-noise ratio in dB, higher is better; a picture that equals its original counts as
  {MOST_PSNR:.2f} dB, the error of rounding to 8 bits.
- *SSIM*: structural similarity, 1 is best; Gaussian window of 11×11 pixels, standard deviation 1.5, the mean over
  colours.
- *L1*: mean absolute difference of values in [0, 1], lower is better.
- *hidden*: the same over hidden pixels alone; else over the whole picture, visible pixels included.
- *LPIPS*: how different pictures look, 0 is best (Zhang et al. 2018), in the activations of ImageNet's AlexNet; the
  shift-tolerant variant (Ghildyal and Liu 2022), whose scale differs from that of the LPIPS in papers.
- *feature FID*: Fréchet distance between originals and restored pictures in the last layer of an age network of the
  project's own, which no restorer was trained with; lower is better. It is **not** the FID of the literature, which
  takes an Inception network: neither scale nor order need agree with it. It falls with the number of pictures: compare
  rows with the same number.
- *ImageNet FID*: the same in ImageNet's VGG16 with blurred strides: its last activation, relu5_3, for pictures of 128
  pixels, the mean over places. Another scale again. This and LPIPS are empty where those weights weren't there.
- *Inception FID*: the FID of the literature; not measured here.
- *visible kept*: the share of visible pixels that are bit for bit the original's.

| data | hidden by | filled by | PSNR | hidden | SSIM | hidden | L1 | hidden | LPIPS | feature FID \
| ImageNet FID | Inception FID | visible kept | images |
|---|---|---|{"---:|" * 12}
"""

NOTE = """*CelebA-HQ (published)*: SpiralNet, Guo et al. 2020 (ECCV), 256×256 pixels from a window of 128×128. It is
**another data set and another FID**: the row says how hard the task is, not who does it better."""


def restoration_page(rows: Sequence[RestorationRow]) -> str:
    """How near restored faces are to the originals.

    Args:
        rows: measured ones, and the published one, which has no seed.
    """
    networks = dict.fromkeys(f"- {row.restorer}: {row.weights}" for row in rows if row.weights)
    runs = dict.fromkeys(
        f"- features of `{row.features}`, occluders of seed {row.seed}, commit {row.commit}, {row.hardware}"
        for row in rows
        if row.seed is not None
    )
    parts = (*map(_restoration_line, rows), "", NOTE, "", "Networks:", "", *networks, "", "Runs:", "", *runs)
    return RESTORATION_HEAD + "\n".join(parts) + "\n"


PRINTED = MappingProxyType(
    {
        **dict.fromkeys(("data", "occluder", "restorer"), ""),
        **dict.fromkeys(("psnr", "psnr_hidden"), ".2f"),
        **dict.fromkeys(("ssim", "ssim_hidden", "l1", "l1_hidden", "lpips"), ".4f"),
        **dict.fromkeys(("feature_fid", "imagenet_fid"), ".4g"),
        "inception_fid": ".2f",
        "visible_identical": "",
        "images": "",
    }
)
"""Column → format. What isn't 1 must not look like it: the visible share has all its digits."""


def _restoration_line(row: RestorationRow) -> str:
    values = ((getattr(row, name), form) for name, form in PRINTED.items())
    return "| " + " | ".join("" if value is None else format(value, form) for value, form in values) + " |"
