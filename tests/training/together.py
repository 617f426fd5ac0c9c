"""Runs on the toy by two processes that train together; `python -m training.together FOLDER`.

Each process writes what it saw to FOLDER, where the tests look at it: starting processes takes
longer than all that they do.
"""

import json
import shutil
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from helpers import PARAMS, changed
from training.toy import CLASSES, CPU, RANDOM, as_bytes, copied, scores, toy

from phonemes.distributed.world import SINGLE, World, joined
from phonemes.errors import InputError
from phonemes.inference.device import Compute
from phonemes.params import load
from phonemes.training import batches
from phonemes.training.checkpoint import Checkpoints
from phonemes.training.loop import DivergedError, epochs
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile
from phonemes.training.run import begin
from phonemes.training.streaming import StreamedBatches

EVEN, EVEN_DEV = np.full(6, 8), np.full(4, 5)  # frames of utterances that two processes halve
UNEVEN, UNEVEN_DEV = np.array([7, 1, 12, 15, 9, 30, 25, 14]), np.array([5, 9, 4])
KEY = "0123456789abcdef"
SMALL_BLOCKS = {"block": 20, "piece": 4, "turns": 2}
EXACT = {"model": {"norm": "none"}, "train": {"batch_size": 48, "momentum": 0.9, "epochs": 3}}
STATEFUL = {**RANDOM, "augment": {"noise": 0.2}, "train": {"optimizer": "adam", "epochs": 4}}


def tiny(changes, **train):
    """Return parameters of a training."""
    return changed(changed(load(PARAMS).fit, **changes), train={"batch_size": 16, **train})


def new(params, group=SINGLE, lengths=UNEVEN, dev=UNEVEN_DEV, dtype=torch.float32):
    """Return a run of this process."""
    splits = toy(lengths, params.data, 0), toy(dev, params.data, 1)
    return prepare(*splits, CLASSES, Compute(CPU, dtype), params, group)


def exact(**train):
    """Return parameters of a training in which nothing is drawn: all frames are one batch."""
    return changed(changed(load(PARAMS).fit, **EXACT), train=train)


def outcome(run):
    """Return all that is the same in all processes."""
    digest = sha256(as_bytes(copied(run)) + as_bytes(run.best_state)).hexdigest()
    return {"digest": digest, "scores": scores(run), "best": run.best.epoch}


def finish(run, checkpoints=None, aside=None):
    """Train to the end, with a checkpoint after each epoch; keep the second one aside."""
    for epoch in epochs(run, progress=False, lines=False):
        if checkpoints:
            checkpoints.save(run, last=True)
            if aside and epoch.epoch == 2 and run.group.world.first:
                shutil.copy(checkpoints.path, aside)
    return outcome(run)


def with_changed_gradients(run, change):
    """Have a process change the gradients that it has computed."""
    parts = run.step._step.parts

    def changed_parts(*buffers):
        for gradients in parts(*buffers):
            change(gradients)
            yield gradients

    run.step._step.parts = changed_parts


def one_batch(group, dtype=torch.float32, **train):
    run = new(exact(**train), group, EVEN, EVEN_DEV, dtype)
    found = finish(run)
    weights = torch.cat([each.detach().flatten() for each in run.classifier.network.parameters()])
    return found | {"weights": weights.tolist(), "steps": run.steps, "batch": run.batch}


def resumed(group, folder, kind):
    """Return the end of an undisturbed training, and that of one that went on after epoch 2."""
    params = tiny(STATEFUL, epochs=4, optimizer="adam", batches=kind, batch_size=8)
    stopped = folder / kind / f"{KEY}.safetensors"
    stopped.parent.mkdir(exist_ok=True)
    undisturbed = finish(new(params, group), Checkpoints(folder / f"{kind}-all", KEY), stopped)
    group.wait()
    run = new(params, group)
    profile(run)
    line = Checkpoints(folder / kind, KEY).resume(run)
    return {
        "undisturbed": undisturbed, "resumed": finish(run), "line": line,
        "blocks": run.batches.blocks,
    }  # fmt: skip


def numbered(lengths):
    """Return a toy whose frames are their numbers, from 1."""
    split = toy(lengths, load(PARAMS).fit.data)
    return split._replace(frames=np.arange(1, lengths.sum() + 1, dtype=np.float32)[:, None])


def draws(group):
    """Return the seeds of what is drawn, and the numbers of frames that a process has."""
    splits = numbered(UNEVEN), numbered(UNEVEN_DEV)
    run = prepare(*splits, CLASSES, Compute(CPU, torch.float32), tiny(STATEFUL), group)
    frames = [
        split.windows[split.starts.long(), 1].int().tolist()
        for split in (run.batches.split, run.dev)
    ]
    return {
        "seeds": [run.batches.generator.initial_seed(), torch.initial_seed(), run.train.seed],
        "frames": frames,
        "steps": run.steps,
    }


def overflow(group):
    """Return what is left of a step in which the second process's gradients overflow."""
    run = new(tiny({}), group, dtype=torch.float16)
    begin(run, 0)
    run.buffers.rates.fill_(0.01)
    before, scale = as_bytes(copied(run)), run.optimizer.scale.tolist()
    if not group.world.first:
        with_changed_gradients(run, lambda them: them[0].view(-1)[:1].fill_(float("inf")))
    run.step.update(*run.buffers)
    return {
        "same": as_bytes(copied(run)) == before,
        "scales": [scale, run.optimizer.scale.tolist()],
    }


def diverged(group):
    """Return the error of a training in whose second epoch a process computes nonsense."""
    run = new(tiny({}, epochs=5), group)
    message = ""
    try:
        for epoch in epochs(run, progress=False, lines=False):
            if epoch.epoch == 1 and not group.world.first:
                with_changed_gradients(run, lambda them: them[0].fill_(float("nan")))
    except DivergedError as error:
        message = str(error)
    return {"message": message, "history": len(run.history)}


def same_code(group):
    """Return the error of a process that trains something else."""
    try:
        Checkpoints(Path(), f"{KEY}{group.world.rank}").resume(new(tiny({}), group))
    except InputError as error:
        return str(error)


def average(group):
    """Return means of tensors of each type that gradients have."""
    rank = group.world.rank
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        tensors = [torch.full((2, 3), 1.0 + rank, dtype=dtype), torch.full((1,), 3.0, dtype=dtype)]
        group.average(tensors)
        found[str(dtype)] = [each.tolist() for each in tensors]
    return found


def main(folder):
    torch.set_num_threads(1)
    batches.StreamedBatches = partial(StreamedBatches, **SMALL_BLOCKS)
    world = World.of_environment()
    with joined(world, CPU) as group:
        seen = {
            "one batch": one_batch(group),
            "clipped": one_batch(group, clip_norm=0.05),
            "float16": one_batch(group, torch.float16, optimizer="adamw"),
            "resident": resumed(group, folder, "resident"),
            "streamed": resumed(group, folder, "streamed"),
            "draws": draws(group),
            "overflow": overflow(group),
            "diverged": diverged(group),
            "stopped": finish(new(tiny({}, lr=1e-12, epochs=9, early_stopping_patience=2), group)),
            "plateau": finish(new(tiny({}, schedule="plateau", plateau_patience=0, lr=3.0), group)),
            "same code": same_code(group),
            "average": average(group),
        }
        alone = Checkpoints(folder / "alone", KEY)
        run = new(tiny(STATEFUL, epochs=4, optimizer="adam", batches="resident"), group)
        seen["from one process"] = {"line": alone.resume(run), "end": finish(run)}
    (folder / f"{world.rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
