"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil


def machine(threads: int, device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, threads, memory, system, device and versions; JSON-ready."""
    import numpy
    import SimpleITK as sitk
    import torch

    from .. import __version__

    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores(),
        "threads": threads,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "device": device,
        "versions": {
            "python": platform.python_version(),
            "lungmorph": __version__,
            "torch": torch.__version__,
            "SimpleITK": sitk.Version.VersionString(),
            "numpy": numpy.__version__,
        },
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
