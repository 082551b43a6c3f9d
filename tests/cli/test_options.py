"""What research commands share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spiralage.cli import main

CODE = """
import os, sys
from spiralage.cli.options import need_train_extra
assert "torch" not in sys.modules
need_train_extra()
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(("own", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_pytorchs_threads_sleep_while_they_wait(own: dict[str, str], expected: str) -> None:
    kept = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", CODE], env=kept | own, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("kind", ["age", "imagine", "slices"])
@pytest.mark.parametrize("minutes", ["nan", "inf", "-nan", "1e999"])
def test_minutes_are_a_finite_number(kind: str, minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", kind, "nowhere.toml", "--minutes", minutes]) == 1
    assert "not a finite number" in capsys.readouterr().err
