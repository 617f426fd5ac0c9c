"""How many processes share work, and starting them: torchrun, in this process.

It is what `python -m torch.distributed.run --standalone` does; its own lines about processes that
ended are left out, since the process that failed has said why.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from phonemes.distributed.world import VARIABLES
from phonemes.errors import InputError
from phonemes.inference.device import device_count, require_devices

if TYPE_CHECKING:
    import torch

Gpus = int | Literal["auto"]  # of runtime.gpus


def process_count(gpus: Gpus, device: "torch.device", networks: int) -> int:
    """Return by how many processes of this host some networks are trained.

    Several networks are shared out, and more processes than networks would have nothing to do.
    Where torchrun has started this process, whoever called it has decided: 1, this one.

    Args:
        gpus: `auto` takes all GPUs for several networks, and one for a single network.
        device: a GPU has one process; on a CPU there may be one a core.
        networks: that do not depend on each other.

    Raises:
        InputError: there are not as many GPUs, or cores.
    """
    if all(name in os.environ for name in VARIABLES):
        return 1
    if gpus == "auto":
        return min(device_count(device), networks) if device.type == "cuda" else 1
    require_devices(gpus, device)
    return gpus if networks == 1 else min(gpus, networks)


def launch(count: int, device: "torch.device", module: str, arguments: Sequence[str] = ()) -> None:
    """Run a module in `count` processes of this host, each with a `World`; return after the last.

    Where one fails, all are ended, and so is this one with its exit code.

    Args:
        count: of processes.
        device: on GPUs each process has as many CPU threads as this one, on a CPU its share.
        module: as after `python -m`.
        arguments: of its command line.

    Raises:
        InputError: a process was killed, or crashed.
        KeyboardInterrupt: this process got a signal to end, and has ended the others.
    """
    import torch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    threads = torch.get_num_threads()
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        threads = max(1, threads // count)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    options = ["--standalone", "--local-addr=localhost", f"--nproc-per-node={count}"]
    logging.disable()
    try:
        run(parse_args([*options, "-m", module, *arguments]))
    except SignalException:
        raise KeyboardInterrupt from None
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        if failure.exitcode > 0:
            sys.exit(failure.exitcode)
        name = signal.Signals(-failure.exitcode).name
        raise InputError(
            f"process {rank + 1} of {count} was ended by {name}"
            + ", probably for lack of memory" * (name == "SIGKILL")
        ) from None
    finally:
        logging.disable(logging.NOTSET)
