"""Devices, precision and processes: Lightning Fabric, started as a config says."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .config import DeviceConfig, TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def launched(config: DeviceConfig) -> Fabric:
    """A Fabric whose processes run; with several devices, this program is then run once for each.

    Under torchrun, the number of processes is the one that torchrun was told.

    Raises:
        InputError: Lightning Fabric is not installed, or there are no such devices.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException
    except ImportError as error:
        raise InputError(
            "training",
            expected="Lightning Fabric",
            found="none installed",
            do="pip install 'lungmorph[train]'",
        ) from error
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    processes, here = processes_of(config)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on hardware that lies idle
            fabric = Fabric(
                accelerator=config.accelerator,
                devices=here,
                num_nodes=processes // here,
                strategy="ddp" if processes > 1 else "auto",
                **_precision(config),
            )
            fabric.launch()
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise InputError(
            "device",
            expected=f"{here} of {config.accelerator!r} that can compute in {config.precision}",
            found=" ".join(str(error).split()),
        ) from error
    return fabric


def processes_of(config: DeviceConfig) -> tuple[int, int]:
    """How many there are or will be, on all machines and on this one."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return config.devices, config.devices


def check_batch(config: TrainingConfig, processes: int) -> None:
    """Every process takes as many pairs of a step as any other.

    Raises:
        InputError: they cannot be dealt out so.
    """
    if config.batch % processes:
        raise InputError(
            "batch",
            expected=f"a multiple of {processes}, the number of processes",
            found=str(config.batch),
        )


def left(fabric: Fabric) -> None:
    """Let the processes part, if there are several."""
    import torch

    if fabric.world_size > 1 and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _precision(config: DeviceConfig) -> dict[str, Any]:
    """As arguments of Fabric."""
    if config.precision == "32-true":
        return {"precision": config.precision}
    import torch
    from lightning_fabric.plugins.precision import MixedPrecision

    class KeptImages(MixedPrecision):
        """Mixed precision whose input stays float32: bfloat16 would round HU to steps of five."""

        def convert_input(self, data: Any) -> Any:
            return data

    gpu = config.accelerator == "cuda" or (
        config.accelerator == "auto" and torch.cuda.is_available()
    )
    return {"plugins": KeptImages(config.precision, "cuda" if gpu else "cpu")}


def summed(fabric: Fabric, values: dict[str, float]) -> dict[str, float]:
    """Each of them added up over all processes, which must all bring the same names."""
    import torch

    if fabric.world_size == 1:
        return values
    # float64 holds what a step is made of without a loss; MPS has none, and no second process either
    tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=fabric.device)
    total = fabric.all_reduce(tensor, reduce_op="sum")
    assert isinstance(total, torch.Tensor)
    return dict(zip(values, total.tolist(), strict=True))
