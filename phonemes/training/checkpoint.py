"""Where a training run stands, stored after an epoch so that a killed run goes on from there.

A checkpoint is found by a key: a digest of everything that shapes the run, parameters,
arrays, code, torch, device and threads. Another run cannot take it for its own, and a
run that goes on from it ends with the bytes of one that was never disturbed. How many
epochs are planned is not part of the key where the schedule does not look at it, so a
longer run goes on from a shorter one.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.storage.atomic import replacing
from phonemes.training.params import FitParams
from phonemes.training.schedule import PLANNED

# checkpoints of other runs; each takes about four times the network
KEPT = 3
SHARE = 0.05  # of the time, at most, that writing checkpoints may take


def run_key(
    params: FitParams, arrays: Iterable[NDArray], code: Iterable[Path], facts: Sequence[object]
) -> str:
    """Return the name under which a run's checkpoints are found.

    Args:
        params: what the network is and how it is trained; its epochs do not count.
        arrays: all that is read: frames, starts and labels of train and dev.
        code: the files that the train stage depends on.
        facts: what else decides the bytes, such as the device.
    """
    digest = hashlib.blake2b(digest_size=16)
    values = {name: asdict(section) for name, section in params._asdict().items()}
    del values["train"]["epochs"]
    described = [values, *map(str, facts), torch.__version__, torch.get_num_threads()]
    digest.update(json.dumps(described, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for path in code:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of one run, in a folder shared by all runs."""

    def __init__(self, folder: Path, key: str, kept: int = KEPT) -> None:
        self.path, self.kept = folder / f"{key}.pt", kept
        self._written, self._cost = -float("inf"), 0.0  # s: when last, and how long it took

    def load(self, epochs: int, schedule: str) -> tuple[dict[str, Any] | None, str]:
        """Return the state to go on from, or None, and a line that says why.

        A file that cannot be read is no reason to fail: the run begins anew.
        """
        try:
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
            planned, state = stored["planned"], stored["state"]
            done = len(state["history"])
        except FileNotFoundError:
            return None, ""
        except Exception as error:  # torch raises many kinds on a broken file
            return None, f"the checkpoint {self.path} is broken and not used: {error}"
        if planned != epochs and schedule in PLANNED:
            return None, (
                f"a run of {planned} epochs is stored, but train.schedule {schedule} depends on "
                "train.epochs: training starts afresh"
            )
        if done > epochs:
            return None, ""
        if done == epochs:  # killed before its results were kept, or asked for once more
            return state, (
                f"all {epochs} epochs are saved, nothing is left to train; "
                f"delete {self.path.parent} to train them anew"
            )
        return state, f"going on after epoch {done}, {done} of {epochs} epochs saved"

    def save(self, state: dict[str, Any], planned: int, *, last: bool) -> str:
        """Write the state unless the last writing was too recent; return a warning or "".

        A full disk costs this checkpoint, not the one before and not the training.
        """
        started = time.perf_counter()
        if not last and started - self._written < self._cost / SHARE:
            return ""
        try:
            with replacing(self.path) as path, path.open("wb") as file:
                torch.save({"planned": planned, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            others = sorted(
                set(self.path.parent.glob("*.pt")) - {self.path}, key=lambda p: p.stat().st_mtime
            )
            for old in others[: -self.kept]:
                old.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:  # torch's writer raises either
            return f"warning: no checkpoint was written: {error}"
        self._written = time.perf_counter()
        self._cost = self._written - started
        return ""
