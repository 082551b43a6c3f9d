"""The table of found occlusions, for readers."""

from __future__ import annotations

from collections.abc import Sequence

from spiralage.evaluation.results import OcclusionRow

OCCLUSION_HEAD = """# What hides a face, found

Written by `spiralage evaluate occlusion`, which looks at aligned crops as the pipeline does. Pixels beyond a photo, and
those of CelebA-HQ's faces of which its labels don't say what they show, count nowhere.

- *IoU*: of the pixels that are hidden or found, the part that is both; the mean over pictures. *pooled*: over the
  pixels of all pictures together.
- *missed*: the part of the hidden pixels that wasn't found; the mean over pictures.
- *falsely hidden*: the part of the visible pixels that was found; the mean over pictures. Clean sets have hands,
  microphones and sunglasses in some of their pictures; to find these is counted as false.
- *damaged*: the part of the pictures of which more than 1 % of the visible pixels was found.

*outlined* are masks that others drew, on other faces; *kept out* kinds that the network was never shown; *distractor*
what belongs to a person.

| data | what hides | role | IoU | pooled | missed | falsely hidden | damaged | images |
|---|---|---|---:|---:|---:|---:|---:|---:|
"""


def occlusion_page(rows: Sequence[OcclusionRow]) -> str:
    """The table of one network's rows."""
    networks = dict.fromkeys(
        f"- {row.network}: {row.weights}, threshold {row.threshold:.2f}, occluders of seed {row.seed}, "
        f"commit {row.commit}, {row.hardware}"
        for row in rows
    )
    return OCCLUSION_HEAD + "\n".join([*map(_line, rows), "", "Runs:", "", *networks]) + "\n"


def _line(row: OcclusionRow) -> str:
    cells = (
        row.data,
        row.occluder,
        row.role,
        *("" if value is None else f"{value:.3f}" for value in (row.iou, row.pooled_iou)),
        *("" if value is None else f"{value:.2%}" for value in (row.missed, row.falsely_hidden, row.damaged)),
        str(row.images),
    )
    return "| " + " | ".join(cells) + " |"
