"""All occluders at a glance: a contact sheet on one face, and a table of what each hides."""

from __future__ import annotations

import inspect

import cv2
import numpy as np

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.mean_shape import full_landmarks
from spiralage.occlusion.occluders import DISTRACTORS, OCCLUDERS, Occluder
from spiralage.types import AlignedFace, Doubles, Pixels

_TILE, _LABEL, _DRAWINGS, _ACROSS = 96, 20, 2, 4
"""Side of a picture and height of its caption, pixels; drawings of a kind; kinds in a row."""


def _kinds() -> dict[str, Occluder]:
    return dict(OCCLUDERS.items()) | DISTRACTORS


def contact_sheet(face: AlignedFace, *, seed: int = 0) -> Pixels:
    """Every kind on one face, drawn twice each: (height, width, 3) uint8 RGB.

    Args:
        face: whose.
        seed: of the first drawing; the other has the next seed.
    """
    points = full_landmarks(face)
    cells = [_cell(name, draw, points, face.pixels, seed) for name, draw in _kinds().items()]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % _ACROSS)
    return np.vstack([np.hstack(cells[i : i + _ACROSS]) for i in range(0, len(cells), _ACROSS)])


def _cell(name: str, draw: Occluder, points: Doubles, pixels: Pixels, seed: int) -> Pixels:
    tiles = [draw(points, np.random.default_rng(seed + i)).over(pixels) for i in range(_DRAWINGS)]
    small = [cv2.resize(tile, (_TILE - 2, _TILE - 2), interpolation=cv2.INTER_AREA) for tile in tiles]
    cell = np.full((_TILE + _LABEL, _DRAWINGS * _TILE + 8, 3), 255, np.uint8)
    cv2.putText(cell, name, (2, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    for i, tile in enumerate(small):
        cell[_LABEL : _LABEL + _TILE - 2, i * _TILE : (i + 1) * _TILE - 2] = tile
    return cell


def hidden_table(*, draws: int = 20) -> str:
    """What each kind is, and how much of the mean face's crop it hides, as a Markdown table.

    Args:
        draws: of each kind, with seeds 0, 1, …; median, smallest and largest are told.
    """
    lines = ["| kind | what it is | hidden |", "|---|---|---|"]
    for name, draw in _kinds().items():
        shares = [100 * draw(mean_landmarks(), np.random.default_rng(seed)).mask.mean() for seed in range(draws)]
        least, middle, most = (f"{share:.0f}" for share in (min(shares), float(np.median(shares)), max(shares)))
        told = f"{middle} %" if least == most else f"{middle} % ({least} to {most})"
        summary = (inspect.getdoc(draw) or "").splitlines()[0]
        lines.append(f"| `{name}` | {summary} | {told} |")
    return "\n".join(lines)
