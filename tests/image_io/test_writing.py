"""Pictures are written whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import quarters

from spiralage.errors import OutputError
from spiralage.image_io import load_photo, save_picture


def test_saved_pictures_come_back(tmp_path: Path) -> None:
    save_picture(tmp_path / "new" / "crop.png", quarters())
    np.testing.assert_array_equal(load_photo(tmp_path / "new" / "crop.png").pixels, quarters())


def test_a_picture_that_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be written"):
        save_picture(tmp_path / "file" / "crop.png", quarters())
