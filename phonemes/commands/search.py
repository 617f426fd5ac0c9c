"""`phonemes search`: find an architecture and hyperparameters by many trainings."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonemes.commands.options import AutoOrCount
from phonemes.distributed.process import in_a_world
from phonemes.distributed.world import ALONE, World, joined
from phonemes.errors import InputError
from phonemes.recipes import BEST, SEARCHES
from phonemes.wording import counted

if TYPE_CHECKING:
    from phonemes.distributed.launch import Gpus
    from phonemes.distributed.world import Group
    from phonemes.params import Params
    from phonemes.search.outcome import Train, Trained
    from phonemes.search.resident import Resident
    from phonemes.search.study import Plan, Progress, Search

MINUTES = 10.0  # where neither --minutes nor --trials is given
PARALLEL = 4  # networks at a time on a GPU
MOST_PROCESSES = 1024  # that a search is shared out to
WRITING_SECONDS = 25.0  # in which results are written after Ctrl-C, where several processes search
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it


@click.command(epilog="Example: phonemes search course --minutes 10")
@click.argument("space")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time to search.")
@click.option(
    "--trials",
    type=click.IntRange(0),
    help="Search until so many networks were trained, those of earlier runs among them.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the draws.")
@click.option(
    "--sampler",
    type=click.Choice(["random", "tpe"]),
    default="random",
    show_default=True,
    help="How values are drawn.",
)
@click.option(
    "--pruner",
    type=click.Choice(["halving", "hyperband", "none"]),
    default="halving",
    show_default=True,
    help="How trainings that lag behind are ended early.",
)
@click.option("--parallel", type=click.IntRange(1, 32), help="Networks at a time, on each GPU.")
@click.option(
    "--gpus",
    type=AutoOrCount(),
    help="GPUs of this machine: auto, which is all, or a number; on a CPU, processes. Without, "
    "runtime.gpus.",
)
@click.option(
    "--winners",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Best trials that are trained with further seeds.",
)
@click.option(
    "--seeds",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Further seeds of winners, and of what the space starts from.",
)
@click.option(
    "--keep", type=click.IntRange(0), default=0, help="Best trials to run as DVC experiments."
)
@click.option("--name", help="Folder of the results in search/; without, the space's name.")
def search(
    space: str,
    minutes: float | None,
    trials: int | None,
    winners: int,
    seeds: int,
    keep: int,
    name: str | None,
    parallel: int | None,
    gpus: "Gpus | None",
    **how: int | str,
) -> None:
    """Search a space of parameters for the most accurate network.

    SPACE is a file of recipes/spaces/, or a path that ends in .yaml. Needs what the stage corpus
    wrote. Writes search/NAME/: trials.csv, search.html and the recipe best.yaml. The same command
    again goes on where the search ended, was interrupted or was killed; other processes, and
    machines that share the folder, join it. Without --minutes and --trials it takes 10 minutes.
    """
    began = time.perf_counter()
    if minutes is not None and trials is not None:
        raise InputError("--minutes and --trials are given; expected one of them")
    if minutes is None and trials is None:
        minutes = MINUTES
    _require_optuna()
    # not above: `phonemes --help` needs neither torch nor optuna
    from phonemes.search.study import Plan

    world = World.of_environment()
    plan = Plan(
        **how,  # type: ignore[arg-type]
        trials=trials,
        deadline=None if minutes is None else began + 60 * minutes,
    )
    if world.size == 1 and _in_processes(gpus):
        if keep:
            _keep(open_search(space, name, plan, parallel)[0], keep)
        return
    with in_a_world(world, WRITING_SECONDS):
        running, resident = open_search(space, name, plan, parallel, world)
        with joined(world, resident.device) as group:
            _search_and_write(running, resident, began, winners, seeds, group)
    if keep and world.size == 1:  # else whoever started the processes does
        _keep(running, keep)


def _in_processes(gpus: "Gpus | None") -> bool:
    """Run this command in a process for each GPU, where there are several; return whether.

    Raises:
        InputError: there are not as many GPUs.
    """
    from phonemes.distributed.launch import launch, process_count
    from phonemes.inference.device import choose_device
    from phonemes.params import load

    runtime = load().runtime
    device = choose_device(runtime.device)
    count = process_count(gpus or runtime.gpus, device, MOST_PROCESSES)
    if count == 1:
        return False
    context = click.get_current_context()
    given = {key: value for key, value in context.params.items() if value is not None}
    words = [f"--{key}={value}" for key, value in given.items() if key not in ("space", "keep")]
    try:
        launch(count, device, "phonemes", ["search", given["space"], *words])
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    return True


def _search_and_write(
    running: "Search",
    resident: "Resident",
    began: float,
    winners: int,
    seeds: int,
    group: "Group",
) -> None:
    """Search and train winners together with the other processes; the first one writes.

    Raises:
        SystemExit: it was interrupted; what was found is written.
    """
    first = group.world.first
    if first:
        click.echo(running.about())
    interrupted = _search(running, began, group)
    with running.alone() if first else nullcontext():
        if seeds and not interrupted:
            interrupted = _retrain(running, winners, seeds, group)
        if first:
            _write(running, resident)
    if interrupted:
        if first:
            click.echo("interrupted; the same command goes on")
        raise SystemExit(INTERRUPTED)


def _interruptible(work: Callable[..., bool]) -> Callable[..., bool]:
    """Have something that returns whether it was interrupted do so wherever that happens."""

    @wraps(work)
    def whole(*arguments: Any) -> bool:
        try:
            return work(*arguments)
        except KeyboardInterrupt:  # while it waited for other processes
            return True

    return whole


def _require_optuna() -> None:
    """Refuse to search without the library for it.

    Raises:
        InputError: says how to install it.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"phonemes search needs optuna ({error}); run `pip install 'phonemes[search]'`, in a "
            "checkout `pip install -e '.[search]'`"
        ) from None


def open_search(
    space_name: str, name: str | None, plan: "Plan", parallel: int | None, world: World = ALONE
) -> tuple["Search", "Resident"]:
    """Return a search in the current folder, ready to start or to go on, and its frames.

    Args:
        space_name: of a space of the project, or a path.
        name: of the folder in search/; None: the space's.
        plan: how to search.
        parallel: networks at a time; None: as many as suit the device.
        world: which process of the search this is.

    Raises:
        InputError: the space, the corpus, params.yaml or the journal cannot be used.
    """
    from phonemes.inference.device import choose_device
    from phonemes.params import checked
    from phonemes.schema import read_yaml_file
    from phonemes.search.corpus import digest, read_corpus
    from phonemes.search.journal import open_study, pruner
    from phonemes.search.resident import Resident
    from phonemes.search.space import find_space, read_space
    from phonemes.search.study import Search
    from phonemes.search.workers import Workers
    from phonemes.storage.inputs import PARAMS
    from phonemes.training.prepare import new_run

    path = find_space(space_name)
    folder = _folder(name or path.stem)
    values = read_yaml_file(PARAMS)
    params, space = checked(values, str(PARAMS)), read_space(path, values)
    device = choose_device(params.runtime.device, world.gpu)
    if device.type != "cuda" and (parallel or 1) > 1:
        raise InputError(
            f"--parallel is {parallel}; on {device.type} one network at a time is trained: "
            "give --gpus, the number of processes that share the search"
        )
    count = parallel or (PARALLEL if device.type == "cuda" else 1)
    corpus = read_corpus(params)
    resident = Resident(corpus, device, space.largest("data.k"), new_run)
    facts = {"space or params.yaml": space.digest(), "corpus": digest(corpus)}
    study = open_study(folder, facts, pruner(plan.pruner, space.largest("train.epochs")))
    workers = Workers(trainer(resident), device, count, threading.Event(), world.size)
    return Search(folder, space, study, plan, workers), resident


def trainer(resident: "Resident") -> "Train":
    """Return what trains a network on some frames; one that is larger than allowed is refused."""
    from phonemes.search.trial import train
    from phonemes.training.planned import require_size

    bands, classes = resident.bands, resident.corpus.classes

    def trained(
        params: "Params", stopped: Callable[[], bool], go_on: Callable[[int, float], bool]
    ) -> "Trained":
        require_size(params.fit, replace(params.stacking, folds=0), bands, classes)
        return train(resident.new_run, resident.device, params, stopped, go_on)

    return trained


def _folder(name: str) -> Path:
    """Return the folder of a search.

    Raises:
        InputError: it would be none in search/, or no word in a shell.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise InputError(f"--name is {name!r}; expected letters, digits, '.', '_' and '-'")
    return SEARCHES / name


@_interruptible
def _search(running: "Search", began: float, group: "Group") -> bool:
    """Search with the other processes; return if interrupted.

    The first one has a bar, or without a terminal a line for each new best.
    """
    from tqdm import tqdm

    best, plan = "", running.plan
    timed = plan.deadline is not None
    total = plan.deadline - began if plan.deadline is not None else plan.trials
    form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    first = group.world.first
    with tqdm(total=total, bar_format=form, disable=_no_bar(running) if first else True) as bar:

        def show(progress: "Progress") -> None:
            nonlocal best
            done = time.perf_counter() - began if timed else progress.trials
            if not bar.disable:
                bar.initial = bar.initial or done  # before the first training, or of earlier runs
            bar.n = min(done, total or 0)
            trial = progress.best
            found = f"{trial.record.choosing:.4f} (trial {trial.number})" if trial else "none yet"
            line = f"{counted(progress.trials, 'trial')}, best {found}"
            bar.set_postfix_str(line)
            if first and bar.disable and trial and found != best:
                click.echo(line)
            best = found

        interrupted = running.run(show)
        if not interrupted:
            group.wait()
    return interrupted


@_interruptible
def _retrain(running: "Search", winners: int, seeds: int, group: "Group") -> bool:
    """Train winners with further seeds, each process its share; return if interrupted."""
    from tqdm import tqdm

    from phonemes.search.retraining import retrain
    from phonemes.search.winners import top

    best = [trial.number for trial in top(running.trials(), winners)]
    numbers = group.of_first(best)  # by then other searches may have found more
    chosen = [trial for trial in running.trials() if trial.number in numbers]
    if not chosen:
        return False
    world = group.world
    names = ", ".join(f"trial {trial.number}" for trial in chosen)
    if world.first:
        further = counted(seeds, "further seed")
        click.echo(f"training {names} and the start of the search with {further}")
    with tqdm(disable=_no_bar(running) if world.first else True) as bar:

        def show(left: int) -> None:
            bar.total = bar.total or left
            bar.n = bar.total - left
            bar.refresh()

        interrupted = retrain(
            running.study, running.space, running.workers, chosen, seeds, show, world
        )
        if not interrupted:
            group.wait()
    return interrupted


def _write(running: "Search", resident: "Resident") -> None:
    """Write the results, and print what was found."""
    from phonemes.pages.search import Found, Half, search_page
    from phonemes.search.results import TRIALS, recipe, trial_table
    from phonemes.search.winners import winner
    from phonemes.storage.atomic import Outputs

    trials, finals = running.trials(), running.finals()
    if not trials:
        click.echo("no trial is over; nothing is written")
        return
    best, folder, name = winner(trials, finals), running.folder, running.folder.name
    choosing, reporting = (Half(*half) for half in resident.half_sizes())
    found = Found(
        name, running.space, trials, finals, running.importances(), choosing, reporting,
        running.about(),
    )  # fmt: skip
    with Outputs() as outputs:
        trial_table(running.space, trials, finals).to_csv(
            outputs.file(folder / TRIALS), index=False, lineterminator="\n"
        )
        outputs.file(folder / "search.html").write_text(search_page(found), "utf-8", newline="\n")
        if best:
            text = recipe(running.space, best, finals, name)
            outputs.file(folder / BEST).write_text(text, "utf-8", newline="\n")
    click.echo(f"{folder}/: {TRIALS}, search.html")
    if best:
        click.echo(text.partition("\nnormalize")[0].replace("# ", ""))
        click.echo(f"to train it:  dvc exp run $(phonemes recipe {SEARCHES}/{name})")


def _keep(running: "Search", count: int) -> None:
    """Run the best trials as DVC experiments."""
    from phonemes.search.keep import keep
    from phonemes.search.winners import top

    for name in keep(running.folder.name, running.space, top(running.trials(), count)):
        click.echo(f"kept as the experiment {name}; see `dvc exp show`")


def _no_bar(running: "Search") -> bool | None:
    """Return what tqdm is to know: no bar where params.yaml says so, or there is no terminal."""
    return None if running.space.base["runtime"]["progress"] else True
