"""How training one network scales over GPUs, compared with what a model of the step predicts.

    python -m benchmarks.scaling [--gpus 1 2] [--json FILE]

trains two networks on random frames by one process a GPU, as the train stage does: that of the
recipe course with k = 32, 16,384 frames a GPU and step, and that of the recipe legal, 20 million
weights, 8,192 a GPU. The machine's rates are measured in the same processes, and
benchmarks/step_model.py computes from them how long a step has to take, on what is there and on
more GPUs.

    python -m benchmarks.scaling --gpus 1 2 --accuracy FOLDER RECIPE [--changes "train.lr=1e-3"]

trains a recipe instead, on the corpus of a checkout and with three seeds, and prints the dev
accuracy of each number of GPUs, and how long it took to .660.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import nn

from benchmarks.machine import copy_rate, matrix_rate, wait_for
from benchmarks.settings import with_recipe
from benchmarks.step_model import (
    BACKWARD_KERNELS,
    FORWARD_KERNELS,
    LOSS_KERNELS,
    Line,
    Net,
    Rates,
    alone,
    interpolated,
    together,
)
from benchmarks.training_speed import BANDS, CLASSES, fit_params, products_of, random_corpus
from phonemes.context import window_starts
from phonemes.distributed.copies import Copies
from phonemes.distributed.world import SINGLE, Group, World, joined
from phonemes.inference.device import Compute, choose_compute
from phonemes.model.architecture import Architecture, build
from phonemes.params import Params
from phonemes.search.corpus import host_split, normalized_splits, read_labelled
from phonemes.storage.layout import CORPUS, HostSplit
from phonemes.storage.read import read_phonemes
from phonemes.training.loop import epochs
from phonemes.training.params import UNDISTORTED, FitParams
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile
from phonemes.training.run import Buffers, Run

if TYPE_CHECKING:
    from phonemes.training.fused.step import FusedStep

FRAMES = {"cuda": 1_100_000}  # of each GPU
OTHER_FRAMES = 4_096
DEV = 8_192  # frames, of all
SECONDS = 3.0  # of epochs that are timed, at least
EPOCHS = 3
SIZES = [2**power for power in range(12, 28)]  # bytes that are averaged
IN_A_GRAPH = 10  # averages that are recorded and replayed at once
KERNELS = 200  # so many kernels that do next to nothing
BYTES_BETWEEN = 6, 10, 4  # read and written, of an activation forward and backward, and of a logit
MORE = (4, 8, 64)  # GPUs that the model is asked about
GOAL = 0.660  # dev accuracy


class Case(NamedTuple):
    """A network to train."""

    name: str
    params: FitParams
    batch: int  # frames a GPU

    @property
    def net(self) -> Net:
        """Return the widths of its products."""
        data, model, _, _ = self.params
        with torch.device("meta"):
            network = build(Architecture.of(model, 2 * data.k + 1, BANDS, CLASSES)).network
        first, *others = [each for each in network.modules() if isinstance(each, nn.Linear)]
        return Net(
            first.in_features,
            tuple(each.in_features for each in others),
            others[-1].out_features,
        )


def cases(kind: str) -> list[Case]:
    """Return the networks; on a CPU narrow ones with few frames a step, to try the program."""
    data, model, _, train = with_recipe("legal").fit
    endless = replace(train, epochs=10_000, warmup_epochs=0, kernels="auto")
    large = FitParams(data, model, UNDISTORTED, endless)
    both = [
        Case("course, k = 32", fit_params(16_384), 16_384),
        Case("legal, 20 M weights", large, 8_192),
    ]
    return both if kind == "cuda" else [_narrow(case) for case in both]


def _narrow(case: Case) -> Case:
    model = case.params.model
    hidden = tuple(width // 32 for width in model.hidden)
    params = case.params._replace(model=replace(model, hidden=hidden, target_context=0))
    return Case(f"{case.name}, narrow", params, case.batch // 128)


# Measuring, in each process


def random_split(frames: int, params: FitParams, seed: int) -> HostSplit:
    """Return random utterances with random labels."""
    corpus = random_corpus(frames, seed)
    starts = window_starts(corpus.lengths, params.data.k, params.data.padding)
    return HostSplit(corpus.frames, starts, corpus.labels.astype("int16"))


def prepared(case: Case, group: Group, compute: Compute, frames: int) -> Run:
    """Return a run whose step is not recorded yet, with so many frames a process."""
    size = group.world.size
    batch = replace(case.params.train, batch_size=case.batch * size)
    params = case.params._replace(train=batch)
    train, dev = random_split(frames * size, params, 1), random_split(DEV, params, 2)
    return prepare(train, dev, CLASSES, compute, params, group)


def ready(case: Case, group: Group, compute: Compute, frames: int) -> Run:
    """Return a run whose step is recorded, with so many frames a process."""
    run = prepared(case, group, compute, frames)
    profile(run)
    return run


def trained(run: Run, seconds: float) -> list[float]:
    """Return the frames a second of some epochs, dev left out; as many in all processes."""
    going = epochs(run, progress=False, lines=False)
    next(going)
    rates: list[float] = []
    spent = 0.0
    while len(rates) < EPOCHS or spent < seconds:
        epoch = next(going)
        rates.append(epoch.frames_per_second)
        spent = run.group.of_first([int(1000 * (spent + epoch.seconds))])[0] / 1000
    return rates


def products_rate(net: Net, batch: int, compute: Compute) -> float:
    """Return the operations a second of the products of a step, one after the other."""
    widths = (net.inputs, *net.hidden, net.outputs)
    # outputs as the fused step pads them
    shapes = [(inputs, -(-outputs // 8) * 8) for inputs, outputs in pairwise(widths)]
    return products_of(shapes, batch, *compute)(0.5) * net.operations


class Between(NamedTuple):
    """What a step does between its products."""

    forward: float  # s an activation
    backward: float  # s an activation
    loss: float  # s a logit


def between_products(case: Case, compute: Compute, latency: float) -> Between:
    """Measure what a step of this process alone does between its products.

    Args:
        case: the network and its batch.
        compute: where. Without the fused step, bytes over the rate of copying stand for it.
        latency: s, of a kernel, which is not counted.
    """
    run = prepared(case, SINGLE, compute, 2 * case.batch)
    if run.step.kernels != "triton":
        return Between(*(count / copy_rate(compute.device) for count in BYTES_BETWEEN))
    run.step.update(*run.buffers)
    return between(cast("FusedStep", run.step), run.buffers, latency)


def between(step: "FusedStep", buffers: Buffers, latency: float) -> Between:
    """Measure the kernels of a step that are no products, on what its last update left there.

    Each follows the product that it follows in a step, which leaves a part of what it reads in the
    cache; what the products take alone is subtracted.
    """
    from phonemes.training.fused import loss  # needs Triton

    flat, blocks, device = step.flat, step.blocks, step.epoch.device

    def forward(kernels: bool) -> None:
        for layer, block in enumerate(blocks):
            h, y = step.outputs[layer], step.inputs[layer + 1]
            torch.mm(step.inputs[layer], flat.products[layer].t(), out=h)
            if kernels:
                block.forward(h, y, step.sums, flat.steps, step.tiles)

    def backward(kernels: bool) -> None:
        for layer, block in reversed([*enumerate(blocks)]):
            gradients = [flat.gradient(each) for each in block.parameters]
            dy, h = step.upstream[layer], step.outputs[layer]
            torch.mm(step.outputs[layer + 1], flat.products[layer + 1], out=dy)
            if kernels:
                block.backward(dy, h, None, step.sums, gradients, flat.steps, step.tiles)

    def of_loss(kernels: bool) -> None:
        torch.mm(step.inputs[-1], flat.products[-1].t(), out=step.outputs[-1])
        if kernels:
            buffers.cursor.zero_()
            loss.loss(
                step.output, step.train.label_smoothing, buffers.cursor, buffers.rates,
                buffers.totals, flat.steps, flat.scalars, flat.betas, flat.kind,
            )  # fmt: skip

    def seconds(work: Callable[[bool], None], kernels: int, numbers: int) -> float:
        with_products, products = (
            seconds_each(partial(work, included), 1, device) for included in (True, False)
        )
        return (with_products - products - kernels * latency) / numbers

    activations = sum(h.numel() for h in step.outputs[:-1])
    return Between(
        seconds(forward, FORWARD_KERNELS * len(blocks), activations),
        seconds(backward, BACKWARD_KERNELS * len(blocks), activations),
        seconds(of_loss, LOSS_KERNELS + 1, len(step.outputs[-1]) * len(step.output.bias)),
    )


def seconds_each(work: Callable[[], object], count: int, device: torch.device) -> float:
    """Return the seconds of each of `count` equal parts of some work, recorded on a GPU."""
    work()
    wait_for(device)
    again = work
    if device.type == "cuda":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
        again = graph.replay
    times = []
    for _ in range(7):
        wait_for(device)
        started = time.perf_counter()
        again()
        wait_for(device)
        times.append((time.perf_counter() - started) / count)
    return statistics.median(times)


def kernel_latency(device: torch.device) -> float:
    """Return the seconds that a kernel takes that does next to nothing."""
    value = torch.zeros(8, device=device)

    def work() -> None:
        for _ in range(KERNELS):
            value.add_(1)

    return seconds_each(work, KERNELS, device)


def averaging(average: Callable[[int, torch.Tensor], None], compute: Compute) -> dict[int, float]:
    """Return the seconds that several processes need to average gradients, by bytes.

    Args:
        average: a tensor, by its number.
        compute: of this process.
    """
    found = {}
    sizes = SIZES if compute.device.type == "cuda" else SIZES[:8]
    for number, size in enumerate(sizes):
        tensor = torch.zeros(size // 2, device=compute.device, dtype=torch.bfloat16)

        def work(number: int = number, tensor: torch.Tensor = tensor) -> None:
            for _ in range(IN_A_GRAPH):
                average(number, tensor)

        found[size] = seconds_each(work, IN_A_GRAPH, compute.device)
    return found


def copied(copies: Copies, number: int, tensor: torch.Tensor) -> None:
    """Average a tensor as a step of one part does."""
    copies.begin()
    copies.average(number, tensor)


def measured(group: Group, compute: Compute, seconds: float) -> dict[str, Any]:
    """Return the figures of this number of processes."""
    kind = compute.device.type
    latency = kernel_latency(compute.device)
    found: dict[str, Any] = {"gpus": group.world.size, "latency": latency, "cases": {}}
    for case in cases(kind):
        run = ready(case, group, compute, FRAMES.get(kind, OTHER_FRAMES))
        rates = trained(run, seconds)
        kernels = run.step.kernels
        del run
        found["cases"][case.name] = {
            "frames_per_second": statistics.median(rates),
            "epochs": rates,
            "kernels": kernels,
            "products": products_rate(case.net, case.batch, compute),
            "between": between_products(case, compute, latency)._asdict(),
        }
    found |= {
        "device": torch.cuda.get_device_name() if kind == "cuda" else "cpu",
        "matrix": matrix_rate(compute.device, compute.dtype),
        "copied": copy_rate(compute.device),
    }
    if group.world.size > 1:
        found["all_reduce"] = averaging(lambda _, tensor: group.average([tensor]), compute)
        if copies := Copies.between(group):
            found["copies"] = averaging(partial(copied, copies), compute)
    return found


def accuracy(folder: Path, params: Params, seed: int, group: Group) -> dict[str, Any]:
    """Train a recipe on the corpus of a checkout; return its best dev accuracy and times."""
    train, dev = (read_labelled(split, folder) for split in ("train", "dev"))
    splits = normalized_splits((train, dev), params.normalize)
    fit = params.fit._replace(train=replace(params.train, seed=seed))
    compute = choose_compute(params.runtime.device, params.model.precision, group.world.gpu)
    hosts = [host_split(split, params.data) for split in splits]
    run = prepare(hosts[0], hosts[1], len(read_phonemes(folder / CORPUS)), compute, fit, group)
    profile(run)
    history = list(epochs(run, progress=False, lines=False))
    times = [sum(each.seconds for each in history[: number + 1]) for number in range(len(history))]
    goal = [at for at, each in zip(times, history, strict=True) if each.dev_accuracy >= GOAL]
    assert run.best is not None
    return {
        "seed": seed,
        "accuracy": run.best.dev_accuracy,
        "seconds": times[-1],
        "seconds_to_goal": goal[0] if goal else None,
    }


def child(arguments: argparse.Namespace) -> None:
    """Measure as one of the processes that torchrun started; the first one writes."""
    world = World.of_environment()
    compute = choose_compute("auto", "auto", world.gpu)
    with joined(world, compute.device) as group:
        if arguments.accuracy:
            folder, recipe = arguments.accuracy
            params = with_recipe(recipe, changes=arguments.changes)
            runs = [accuracy(Path(folder), params, seed, group) for seed in arguments.seeds]
            found: dict[str, Any] = {"gpus": world.size, "recipe": recipe, "runs": runs}
        else:
            if compute.device.type == "cuda" and arguments.part:
                from phonemes.training.fused import step  # needs Triton

                step.PART = arguments.part
            found = measured(group, compute, arguments.seconds)
    if world.first:
        arguments.child.write_text(json.dumps(found), "utf-8")


# Putting together


def launched(gpus: int, arguments: list[str]) -> dict[str, Any]:
    """Return what so many processes found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        torchrun = ["torch.distributed.run", "--standalone", "--local-addr=localhost"]
        torchrun += [f"--nproc-per-node={gpus}", "-m", "benchmarks.scaling"]
        command = [sys.executable, "-m", *torchrun]
        threads = str(max(1, (os.cpu_count() or 1) // gpus))
        environment = {"OMP_NUM_THREADS": threads} | os.environ
        done = subprocess.run([*command, *arguments, "--child", str(path)], env=environment)
        if done.returncode:  # it said why on stderr
            sys.exit(f"no figures of {gpus} GPUs: a process ended with an error")
        return json.loads(path.read_text("utf-8"))


def rates_of(found: dict[str, Any], case: Case) -> Rates:
    """Return what a GPU can do, in the products of a network."""
    of_case = found["cases"][case.name]
    return Rates(of_case["products"], found["copied"], found["latency"], **of_case["between"])


def print_scaling(results: list[dict[str, Any]], smallest: int) -> None:
    """Print measured and predicted rates, and what more GPUs would do."""
    one, kind = results[0], "cpu" if results[0]["device"] == "cpu" else "cuda"
    print(
        f"{one['device']}: products {one['matrix'] / 1e12:.0f} Tflop/s at best, copying "
        f"{one['copied'] / 1e9:,.0f} GB/s, {one['latency'] * 1e6:.1f} us a kernel"
    )
    # by NCCL, and as the step does it, by the number of GPUs
    reduces: dict[int, dict[int, float]] = {}
    used: dict[int, dict[int, float]] = {}
    for each in results:
        for kind_of, name in (("all_reduce", "all-reduce"), ("copies", "copies")):
            if kind_of in each:
                times = {int(size): seconds for size, seconds in each[kind_of].items()}
                print_line(f"{name} on {each['gpus']} GPUs", times, each["gpus"])
                used[each["gpus"]] = times
                reduces.setdefault(each["gpus"], times)
    print("\n| network | GPUs | frames/s | x one | step, ms | model, ms | off |")
    print("|---|---|---|---|---|---|---|")
    for case in cases(kind):
        for each in results:
            print(_row(case, each, one, used, smallest))
    if not reduces:
        return
    line = Line.through(reduces[max(reduces)], max(reduces))
    print("\n| the model: network | GPUs | x one, as many frames a GPU | x one, the same batch |")
    print("|---|---|---|---|")
    for case in cases(kind):
        for gpus in MORE:
            print(_forecast(case, one, line, gpus, smallest))


def print_line(name: str, times: dict[int, float], gpus: int) -> None:
    """Print how long averaging takes by the bytes, as a line and measured."""
    line = Line.through(times, gpus)
    print(
        f"{name}: {line.latency * 1e6:.0f} us + bytes over {line.bandwidth / 1e9:,.0f} GB/s; "
        + ", ".join(f"{size / 2**20:g} MiB {times[size] * 1e6:.0f} us" for size in [*times][8::3])
    )


def _row(
    case: Case,
    found: dict[str, Any],
    one: dict[str, Any],
    averages: dict[int, dict[int, float]],
    smallest: int,
) -> str:
    """Return a line: measured and predicted."""
    gpus, rate = found["gpus"], found["cases"][case.name]["frames_per_second"]
    rates, step = rates_of(one, case), case.batch * gpus / rate
    predicted = alone(case.net, case.batch, rates)
    if gpus > 1:
        predicted = together(case.net, case.batch, rates, interpolated(averages[gpus]), smallest)
    ratio = rate / one["cases"][case.name]["frames_per_second"]
    return (
        f"| {case.name} | {gpus} | {rate:,.0f} | {ratio:.2f} | {step * 1e3:.3f} | "
        f"{predicted * 1e3:.3f} | {predicted / step - 1:+.0%} |"
    )


def _forecast(case: Case, one: dict[str, Any], line: Line, gpus: int, smallest: int) -> str:
    """Return a line: what the model says about more GPUs than are there."""
    rates, reduce = rates_of(one, case), line.on(gpus)
    first = alone(case.net, case.batch, rates)
    weak = gpus * first / together(case.net, case.batch, rates, reduce, smallest)
    strong = first / together(case.net, max(1, case.batch // gpus), rates, reduce, smallest)
    return f"| {case.name} | {gpus} | {weak:.1f} | {strong:.1f} |"


def print_accuracy(results: list[dict[str, Any]]) -> None:
    """Print accuracy and times of each number of GPUs."""
    print(f"| GPUs | dev accuracy | s of training | s to {GOAL:.3f} |\n|---|---|---|---|")
    for each in results:
        runs = each["runs"]
        scores = [run["accuracy"] for run in runs]
        goal = [run["seconds_to_goal"] for run in runs]
        reached = "not by all" if None in goal else f"{statistics.mean(goal):.1f}"
        spread = f"{statistics.mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f})"
        seconds = statistics.mean(run["seconds"] for run in runs)
        print(f"| {each['gpus']} | {spread} | {seconds:.1f} | {reached} |")


def main() -> None:
    """Measure each number of GPUs, and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of epochs, of a network")
    parser.add_argument("--part", type=int, default=0, help="gradients of a part, at least")
    parser.add_argument("--accuracy", nargs=2, metavar=("FOLDER", "RECIPE"))
    parser.add_argument("--changes", default="", help="of the recipe, as dvc exp run -S has them")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return
    results = [launched(gpus, sys.argv[1:]) for gpus in arguments.gpus]
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    if arguments.accuracy:
        print_accuracy(results)
    else:
        print_scaling(results, arguments.part or 2**22)


if __name__ == "__main__":
    main()
