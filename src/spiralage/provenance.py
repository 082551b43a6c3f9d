"""Where a number comes from: the commit and the hardware that stand beside every result."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm", "bf16")
"""What makes networks faster on processors of today: wide vectors, int8 and bfloat16; the last four are ARM's."""


def commit() -> str:
    """The checked-out commit (12 digits), with ``+changes`` if tracked source files differ from it.

    "unknown" outside a git checkout, as in an installed wheel.
    """
    folder = Path(__file__).parent
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def hardware(device: str = "cpu") -> str:
    """The processor, or the GPU for device "cuda", in a few words."""
    if device == "cuda":  # who computes on a GPU has PyTorch loaded
        return str(sys.modules["torch"].cuda.get_device_name())
    return f"{_processor()}, {os.cpu_count()} cores"


def processor_features() -> tuple[str, ...]:
    """Which of ``FEATURES`` the processor has, as Linux calls them; empty where that isn't told."""
    has = set(" ".join(_cpuinfo("flags") + _cpuinfo("Features")).split())
    return tuple(feature for feature in FEATURES if feature in has)


def _processor() -> str:
    names = _cpuinfo("model name")
    return names[0] if names else platform.processor() or platform.machine()


def _cpuinfo(key: str) -> list[str]:
    """What Linux says of the processor's cores under a key; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split(":", 1)[1].strip() for line in lines if line.partition(":")[0].strip() == key]
