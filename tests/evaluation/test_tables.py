"""Tables for readers: digits are chosen here, and differences are taken of what was measured."""

from __future__ import annotations

import re

from result_rows import CONSTANT, RESTORED, ROW, changed

from spiralage.evaluation.results import RestorationRow
from spiralage.evaluation.tables import lopo_page, restoration_page


def test_the_page_puts_the_paper_beside_unmasked_training_alone() -> None:
    masked = changed(ROW, trained_on="UTKFace → FG-NET, masked", faces="masked", recipe="b", seed=2)
    rows = [
        CONSTANT,
        *(changed(ROW, condition=name) for name in ("original", "masked", "restored")),
        *(changed(masked, condition=name) for name in ("original", "masked", "restored")),
    ]
    page = lopo_page(rows)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    head, _, *lines = cells
    assert head[-1] == "paper"
    assert all(len(line) == len(head) for line in lines)
    differences = [f"{paper:.2f} ({ROW.mae - paper:+.2f})" for paper in (4.47, 11.33, 7.86)]
    assert [line[-1] for line in lines] == ["", *differences, "", "", ""]
    assert lines[1][4:8] == ["4.50", "4.00–5.12", "4.75", "0.654"]
    assert "12 images of 3 persons" in page
    assert [line for line in page.splitlines() if line.startswith("- ")] == [
        f"- `recipes/a.toml`, seed 1, commit {ROW.commit}, {ROW.hardware}",
        f"- `recipes/b.toml`, seed 2, commit {ROW.commit}, {ROW.hardware}",
    ]


def test_a_difference_is_taken_of_all_digits() -> None:
    row = changed(ROW, mae=4.4649)  # printed 4.46, and 4.4649 − 4.47 is −0.0051
    assert "| 4.46 | " in lopo_page([CONSTANT, row])
    assert "4.47 (-0.01)" in lopo_page([CONSTANT, row])


def test_only_the_papers_mask_is_compared_with_the_paper() -> None:
    row = changed(ROW, condition="masked", occluder="scarf", restorer="none")
    page = lopo_page([CONSTANT, row])
    assert "| masked, scarf | none |" in page
    assert "11.33" not in page.split("|---")[1]


def test_the_page_for_readers() -> None:
    published = RestorationRow(data="CelebA-HQ (published)", restorer="SpiralNet", psnr=16.05, ssim=0.6815)
    rows = [RESTORED, RESTORED.model_copy(update={"occluder": "random-window"}), published]
    page = restoration_page(rows)
    header, ruler, *lines = (line for line in page.splitlines() if line.startswith("|"))
    assert len(lines) == 3
    columns = {line.count("|") for line in (header, ruler, *lines)}
    assert len(columns) == 1
    assert lines[0].startswith("| FG-NET | paper | imagine | 12.35 | 11.10 | 0.6000 | 0.4321 | 0.1000 | 0.1333 |")
    assert lines[0].endswith("| 0.3257 | 0.1234 | 1235 |  | 0.9999999 | 1002 |")  # what isn't 1 doesn't look like it
    assert re.match(r"\| CelebA-HQ \(published\) \|  \| .* \| 16.05 \|  \| 0.6815 \|", lines[2])
    assert "`spiralage evaluate restore`" in page
    assert "another data set and another FID" in page
    assert page.count("- imagine: imagine (seed 1)") == 1
    assert page.count("commit 0123456789ab, A CPU, 2 cores; a GPU") == 1
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120
