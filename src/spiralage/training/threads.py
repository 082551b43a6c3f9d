"""How many threads PyTorch computes with."""

from __future__ import annotations

import torch


def set_threads(threads: int | None) -> None:
    """Set PyTorch's number of threads in this process; None leaves its own choice (all cores)."""
    if threads is not None:
        torch.set_num_threads(threads)
