"""Devices and threads that people ask for, checked before any work starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import cv2
import torch

from tracker.errors import UserError


def check_device(name: str | torch.device) -> torch.device:
    """Return the device of that name, once it has proved that it holds tensors.

    Args:
        name: as torch names devices (`cpu`, `cuda`, `cuda:1`), or `auto`: a GPU where there is one,
            else the CPU.

    Raises:
        UserError: there is no such device here.
    """
    if str(name).lower() == "gpu":
        raise UserError(f"device {name} cannot be used (a GPU is called cuda); use cuda or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
        return torch.device(name)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]  # torch tells a long story of mps
        raise UserError(f"device {name} cannot be used ({reason}); use cpu or auto") from error


def bf16_pays(device: torch.device | str) -> bool:
    """Whether matrices are multiplied faster in bfloat16 than in float32; torch is asked.

    CPUs need instructions for it (AMX, or AVX-512's): without them bfloat16 is six times slower.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    if torch.device(device).type != "cpu":
        return False
    asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # not in every torch
    return any(getattr(torch.cpu, name, bool)() for name in asked)


@contextmanager
def bf16_products(device: torch.device, wanted: bool = True) -> Iterator[bool]:
    """Let a CPU that is faster then make products in bfloat16, where no gradient is needed.

    What autocast says elsewhere, in training or on GPUs, stays as it is.

    Args:
        device: where the products are made.
        wanted: False changes nothing.

    Yields:
        Whether they are bfloat16 by this.
    """
    pays = wanted and device.type == "cpu" and not torch.is_grad_enabled() and bf16_pays(device)
    with torch.autocast("cpu", torch.bfloat16) if pays else nullcontext():
        yield pays


def set_threads(count: int | None) -> None:
    """Let torch and OpenCV compute with so many threads; None leaves them to their own choice.

    Raises:
        UserError: fewer than one.
    """
    if count is None:
        return
    if not isinstance(count, int) or count < 1:
        raise UserError(f"threads={count} must be null or a number of threads, 1 or more")
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def check_rendering(data: Mapping[str, Any], workers: int) -> None:
    """Check every `device` in the settings of a source of clips, those of its parts included.

    Args:
        data: the settings.
        workers: processes that make batches.

    Raises:
        UserError: a device cannot be used, or is a GPU, which worker processes cannot use.
    """
    for name, value in data.items():
        if isinstance(value, Mapping):
            check_rendering(value, workers)
        elif name == "device" and check_device(value).type != "cpu" and workers:
            raise UserError(
                f"data renders on device {value}, which worker processes cannot use; "
                "set training.workers=0"
            )
