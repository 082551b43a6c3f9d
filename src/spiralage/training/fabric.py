"""Where a training computes, and how precisely."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from lightning_fabric import Fabric

from spiralage.errors import OptionError

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Precision: TypeAlias = Literal["auto", "32-true", "bf16-mixed"]
"""float32, or bfloat16 where that is precise enough; "auto" is the latter where the hardware computes in it."""


def make_fabric(device: Device, devices: int = 1, precision: Precision = "auto") -> Fabric:
    """Lightning Fabric.

    Args:
        device: where to compute.
        devices: how many GPUs, or CPU processes, share each batch (DDP).
        precision: bf16-mixed can be asked for anywhere; PyTorch imitates it where the hardware can't.

    Raises:
        OptionError: device "cuda" with fewer GPUs than that.
    """
    accelerator = accelerator_of(device, devices)
    if precision == "auto":
        precision = "bf16-mixed" if computes_bfloat16(accelerator) else "32-true"
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy="auto" if devices == 1 else "ddp",
        precision=precision,
    )
    fabric.launch()
    return fabric


def accelerator_of(device: Device, devices: int = 1) -> Literal["cpu", "cuda"]:
    """What ``make_fabric`` computes on; arguments and errors are the same."""
    if device == "cuda" and devices > torch.cuda.device_count():
        raise OptionError(f"{devices} GPUs are asked for, {torch.cuda.device_count()} found; use --device auto or cpu")
    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.device_count() >= devices) else "cpu"


def computes_bfloat16(device: Literal["cpu", "cuda"]) -> bool:
    """True if this machine's processor, or GPU, computes in bfloat16."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
