"""After any kill `dvc repro` finishes, with the bytes of a run that was never disturbed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from helpers import STAGES, commit, ran, run, set_params
from pipeline.outcomes import (
    EPOCHS,
    ONE_THREAD,
    content,
    copied,
    history,
    outcome,
    outputs,
    remove,
)

from phonemes.storage.layout import HISTORY, MODEL

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

SIGNALS = (signal.SIGKILL, signal.SIGINT)
SAVED = re.compile(r"going on after epoch \d+, (\d+) of \d+ epochs saved")
# about what a stage takes, in seconds
SECONDS = {
    "corpus": 0.5,
    "normalize": 0.3,
    "context": 0.3,
    "train": 1.5,
    "evaluate": 2.0,
    "predict": 1.5,
}
PATIENCE = 120  # s until something that takes a second counts as never happening


def partials(project: Path) -> list[Path]:
    return [path for path in project.rglob(".*.partial") if "exps" not in path.parts]


def heed_interrupts() -> None:
    """Undo what a shell does to commands in its background: they ignore SIGINT, and so children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Started:
    """A command in a session of its own, which can be killed with all it started."""

    def __init__(self, folder: Path, *command: str, log: str = "log") -> None:
        self.log = folder.parent / f"{folder.name}.{log}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=ONE_THREAD | {"KILLED_IN": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )

    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, pattern: str) -> None:
        """Wait until the command, or what it left running, printed what the pattern describes.

        A command that ends by itself before it does is not waited for.
        """
        deadline = time.monotonic() + PATIENCE
        alive_or_killed = (None, -signal.SIGKILL)
        while not re.search(pattern, self.output()) and self.process.poll() in alive_or_killed:
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.output()}"
            time.sleep(0.01)

    def wait(self, timeout: float = PATIENCE) -> int:
        return self.process.wait(timeout)

    def kill(self, number: signal.Signals) -> bool:
        """Send the signal to all processes of the session; return whether it came in time."""
        alive = self.process.poll() is None
        if alive:
            os.killpg(self.process.pid, number)
        self.wait()
        return alive


def repaired(project: Path, output: str) -> str:
    """Have removed what DVC could not read after a kill; return its name, or "" if it could."""
    if not re.search(r"dvc\.lock|RWLock-file|not 'NoneType'", output):
        return ""
    found = run(project, sys.executable, "-m", "phonemes", "repair")
    names = re.findall("removed (.*), which DVC was killed while writing", found)
    return " and ".join(sorted({"a run" if "/runs/" in name else name for name in names}))


def repro(project: Path, faults: Counter) -> str:
    """Run `dvc repro`, which must succeed once DVC's own files can be read."""
    started = Started(project, "dvc", "repro")
    failed = started.wait(5 * PATIENCE)
    if failed and (name := repaired(project, started.output())):
        faults[f"{name} left unreadable by DVC"] += 1
        return repro(project, faults)
    assert not failed, started.output()
    note_resumption(started.output(), faults)
    return started.output()


def unstarted(reproduced: Path, folder: Path) -> Path:
    """Return a project in which nothing ran, and nothing of a run is left."""
    project = copied(reproduced, folder)
    forget(project)
    shutil.rmtree(project / ".dvc/cache")
    return project


def forget(project: Path) -> None:
    """Remove what runs left in a project, so that the next one begins anew."""
    for path in (*outputs(project), project / "dvc.lock"):
        remove(path)
    forget_runs(project)


def forget_runs(project: Path) -> None:
    """Remove what keeps stages from running once more."""
    remove(project / ".dvc/cache/runs")
    remove(project / ".dvc/tmp/checkpoints")


def check_undisturbed(project: Path, undisturbed: Path) -> None:
    """Assert that all outputs are those of the undisturbed run, and nothing else is left."""
    assert outcome(project) == outcome(undisturbed)
    assert len(outcome(project)) == len(outputs(project))
    assert partials(project) == []
    assert "Data and pipelines are up to date" in run(project, "dvc", "status")
    lock, reference = (yaml.safe_load((p / "dvc.lock").read_text()) for p in (project, undisturbed))
    assert lock == reference
    run(project, "git", "add", "-A")  # dvc.lock and the metrics are new here
    names = run(project, "git", "diff", "--cached", "--name-only").split()
    assert set(names) <= {"dvc.lock", "metrics/context.json", "metrics/evaluate.json"}


def check_complete(project: Path, undisturbed: Path) -> None:
    """Assert that every output is complete or absent, whatever was killed; the history grows."""
    for name, found in outcome(project).items():
        wanted = content(undisturbed / name)
        if name == HISTORY:
            check_whole_epochs(project / name, undisturbed / name)
        else:
            assert found == wanted, f"{name} is half-written"


def check_whole_epochs(path: Path, undisturbed: Path) -> None:
    """Assert that a history holds a header and the first epochs of an undisturbed run."""
    assert path.read_bytes().endswith(b"\n"), f"{path} ends within a line"
    found, wanted = history(path), history(undisturbed)
    assert len(found) > 1 and found == wanted[: len(found)], f"{path} holds other epochs"


@pytest.fixture(scope="module")
def faults(pytestconfig) -> Iterator[Counter]:
    """Count what was killed; the counts are printed after the last test of this module."""
    counts: Counter = Counter()
    yield counts
    text = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    with pytestconfig.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print(f"\nfaults: {text}")


def kill_through_the_pipeline(
    project: Path, stages: list[str], moments: random.Random, faults: Counter
) -> None:
    """Start `dvc repro` once for each of `stages`, in order, and kill it while that stage runs.

    All processes get the signal, as from Ctrl-C. A stage that was complete when it was
    killed does not run again: then the one after it is killed. Where all of them were
    faster than the kill, everything begins anew and the kill comes sooner.
    """
    for stage in stages:
        patience = 1.0
        while not killed_during(project, stage, moments, patience, faults):
            forget(project)
            patience /= 2


def killed_during(
    project: Path, stage: str, moments: random.Random, patience: float, faults: Counter
) -> bool:
    """Kill `dvc repro` in that stage or a later one; return whether it came before the end."""
    to_come = "|".join(STAGES[STAGES.index(stage) :])
    started = Started(project, "dvc", "repro")
    started.wait_for(f"Running stage '({to_come})'")
    while started.process.poll() and (name := repaired(project, started.output())):
        faults[f"{name} left unreadable by DVC"] += 1
        started = Started(project, "dvc", "repro")
        started.wait_for(f"Running stage '({to_come})'")
    assert not started.process.poll(), started.output()
    reached = (ran(started.output()) or ["none"])[-1]
    if reached == "train" and moments.random() < 0.7:  # rather not while torch is imported
        epoch = moments.randrange(2, EPOCHS // 2)  # by then there is a checkpoint
        started.wait_for(rf"epoch {epoch}: |going on after|nothing is left")
        seconds = 0.3
    else:
        seconds = SECONDS.get(reached, 0)
    time.sleep(moments.uniform(0, patience * seconds))
    number = moments.choice(SIGNALS)
    came = started.kill(number)
    if came:
        faults[f"{number.name} in {reached}"] += 1
        faults["kills"] += 1
    note_resumption(started.output(), faults)
    return came


def note_resumption(output: str, faults: Counter) -> None:
    for saved in SAVED.findall(output):
        faults["trainings resumed"] += 1
        faults["epochs saved"] += int(saved)


def test_a_killed_repro_finishes_with_the_bytes_of_an_undisturbed_one(reproduced, tmp_path, faults):
    project = unstarted(reproduced, tmp_path / "project")
    before = faults["kills"]
    kill_through_the_pipeline(project, ["corpus", "train", "evaluate"], random.Random(1), faults)
    repro(project, faults)
    check_undisturbed(project, reproduced)
    assert faults["kills"] - before >= 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_a_repro_killed_many_times_finishes_with_the_bytes_of_an_undisturbed_one(
    reproduced, tmp_path, faults, seed
):
    project, moments = unstarted(reproduced, tmp_path / "project"), random.Random(seed)
    before = faults.copy()
    order = [stage for stage in STAGES for _ in range(4 if stage == "train" else 2)]
    kill_through_the_pipeline(project, order, moments, faults)
    repro(project, faults)
    check_undisturbed(project, reproduced)
    assert faults["kills"] - before["kills"] >= len(order)
    assert faults["trainings resumed"] > before["trainings resumed"]


# Runs a stage again and again in a fork, killed at its 1st, 2nd, ... operation on a file or
# folder of the project, and where that opens a file, once it is open and empty; after each it
# prints what happened and waits for a line.
KILL_AT_EACH_OPERATION = """
import importlib, itertools, os, signal, stages, sys
stage = importlib.import_module("stages." + sys.argv.pop())
changes = {"os.mkdir", "os.remove", "os.rename", "os.rmdir"}
for number in itertools.count(1):
    child = os.fork()
    if not child:
        operations = itertools.count(1)
        def notice(event, values):
            written = event == "open" and isinstance(values[1], str) and values[1][0] in "wxa"
            if written or event in changes:
                path = os.path.abspath(os.fsdecode(values[0]))
                if path.startswith(os.getcwd()) and next(operations) == number:
                    if written:  # the file is there, and nothing of its content yet
                        emptied = os.O_TRUNC if values[1][0] == "w" else 0
                        os.open(path, os.O_WRONLY | os.O_CREAT | emptied)
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(notice)
        stages.run(stage.main)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended with", status, flush=True)
    if status == 0 or not sys.stdin.readline():
        break
"""


@pytest.fixture(scope="module")
def two_epochs(reproduced, tmp_path_factory) -> Path:
    """Return a reproduced project with a shorter training."""
    project = copied(reproduced, tmp_path_factory.mktemp("operations") / "project")
    set_params({"train": {"epochs": 2}}, project)
    repro(project, Counter())
    commit(project)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("existing", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_output_is_complete_or_absent_wherever_its_stage_is_killed(
    two_epochs, tmp_path, faults, stage, existing
):
    project = copied(two_epochs, tmp_path / "project")
    own = outputs(project, stage)
    process = subprocess.Popen(
        [sys.executable, "-c", KILL_AT_EACH_OPERATION, stage],
        cwd=project,
        env=ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ends, grown = [], set()  # grown: epochs of a history without its model
    with process:
        while not ends or ends[-1] == -signal.SIGKILL:
            remove(project / ".dvc/tmp/checkpoints")
            if not existing:
                for path in own:
                    remove(path)
            process.stdin.write("go on\n")
            process.stdin.flush()
            lines = (line for line in process.stdout if line.startswith("ended with"))
            ends.append(int(next(lines).split()[-1]))
            check_complete(project, two_epochs)
            if (project / HISTORY).exists() and not (project / MODEL).exists():
                grown.add(len(history(project / HISTORY)) - 1)
    assert ends[-1] == 0
    assert grown == ({1, 2} if stage == "train" and not existing else set())
    faults["kills at an operation on files"] += len(ends) - 1
    assert len(ends) > 3
    repro(project, faults)
    check_undisturbed(project, two_epochs)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_what_a_killed_training_left_is_no_result_to_dvc(reproduced, tmp_path, faults, number):
    project = copied(reproduced, tmp_path / "project")
    set_params({"train": {"lr": 1e-4, "epochs": 150}}, project)
    started = Started(project, "dvc", "repro", "train")
    started.wait_for("epoch 2: ")
    assert started.kill(number)
    faults[f"{number.name} in train, with other values"] += 1
    left = {signal.SIGKILL: [HISTORY], signal.SIGINT: []}[number]
    assert [path for path in (HISTORY, MODEL) if (project / path).exists()] == left
    run(project, "git", "restore", "params.yaml")  # with which there was a complete history
    found, *_ = run(project, "dvc", "status", "--json", "train").splitlines()  # then warnings
    (changes,) = json.loads(found)["train"]
    expected = {str(path): "modified" if path in left else "deleted" for path in (HISTORY, MODEL)}
    assert changes == {"changed outs": expected}
    repro(project, faults)
    check_undisturbed(project, reproduced)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["stage", "repro"])
def test_a_second_run_in_the_same_folder_is_refused_and_mixes_nothing(
    reproduced, tmp_path, faults, command
):
    project = copied(reproduced, tmp_path / "project")
    (project / "models/model.safetensors").unlink()
    forget_runs(project)
    once = {
        "stage": (sys.executable, "-m", "stages.train"),
        "repro": ("dvc", "repro", "--force", "--single-item", "train"),
    }[command]
    first = Started(project, *once)
    first.wait_for("parameters; ")
    os.killpg(first.process.pid, signal.SIGSTOP)  # for as long as the second one needs
    second = Started(project, *once, log="second")
    assert second.wait() != 0
    os.killpg(first.process.pid, signal.SIGCONT)
    refusal = {
        "stage": f"error: a stage is running in {project}; wait for it, or work in a clone",
        "repro": "is busy, it is being blocked by:",
    }[command]
    assert refusal in second.output()
    assert "Traceback" not in second.output()
    assert first.wait() == 0
    faults["second runs refused"] += 1
    repro(project, faults)
    assert outcome(project) == outcome(reproduced)


@pytest.mark.slow
def test_two_repros_started_at_once_mix_nothing(reproduced, tmp_path, faults):
    project = unstarted(reproduced, tmp_path / "project")
    both = [Started(project, "dvc", "repro", log=name) for name in ("first", "second")]
    codes = [started.wait() for started in both]
    assert 0 in codes or all("blocked by" in started.output() for started in both)
    faults["pairs of repros at once"] += 1
    repro(project, faults)
    check_undisturbed(project, reproduced)


@pytest.mark.slow
def test_a_stage_that_outlives_its_killed_dvc_is_waited_for(reproduced, tmp_path, faults):
    project = unstarted(reproduced, tmp_path / "project")
    started = Started(project, "dvc", "repro")
    started.wait_for("epoch 1: ")
    started.process.kill()  # DVC alone: its stage goes on
    started.wait()
    os.killpg(started.process.pid, signal.SIGSTOP)  # for as long as the second one needs
    refused = Started(project, "dvc", "repro", log="refused")
    assert refused.wait() != 0
    os.killpg(started.process.pid, signal.SIGCONT)
    assert f"error: a stage is running in {project}; wait for it" in refused.output()
    started.wait_for("kept epoch .*")
    faults["kills of DVC alone"] += 1
    with FileLock(project / "data/.lock", timeout=PATIENCE):  # until the stage has ended
        pass
    repro(project, faults)
    check_undisturbed(project, reproduced)


def running(project: Path, word: str = "") -> list[int]:
    """Return the processes that commands in `project` left, whose command line has the word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"KILLED_IN={project}\0".encode() in (process / "environ").read_bytes()
            if marked and word.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:  # it has ended, or belongs to somebody else
            continue
    return found


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def trained(project: Path, experiment: str) -> str:
    """Return the digest of the model that an experiment trained."""
    reference = run(project, "git", "for-each-ref", "--format=%(refname)", f"**/{experiment}")
    lock = yaml.safe_load(run(project, "git", "show", f"{reference.strip()}:dvc.lock"))
    outs = {out["path"]: out["md5"] for out in lock["stages"]["train"]["outs"]}
    return outs["models/model.safetensors"]


EXPERIMENT = ("-S", "train.lr=1e-4", "-S", "train.epochs=150")


@pytest.fixture(scope="module")
def slower(reproduced, tmp_path_factory) -> str:
    """Return the digest of the model of an undisturbed experiment that trains for longer."""
    project = copied(reproduced, tmp_path_factory.mktemp("experiment") / "project")
    started = Started(project, "dvc", "exp", "run", "--temp", "--name", "slower", *EXPERIMENT)
    assert started.wait(5 * PATIENCE) == 0, started.output()
    return trained(project, "slower")


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("kind", ["--temp", "--queue"])
def test_a_killed_experiment_goes_on_when_it_is_run_again(
    reproduced, slower, tmp_path, faults, kind, number
):
    project = copied(reproduced, tmp_path / "project")
    forget_runs(project)
    checkpoints = project / ".dvc/tmp/checkpoints"
    experiment = ("dvc", "exp", "run", kind, *EXPERIMENT)

    def start(name: str) -> Started:
        started = Started(project, *experiment, "--name", name, log=name)
        if kind == "--queue":
            assert started.wait() == 0
            started = Started(project, "dvc", "queue", "start", log="worker")
            assert started.wait() == 0
        return started

    try:
        started = start("killed")
        wait_until(lambda: list(checkpoints.glob("*.safetensors")))
        time.sleep(0.5)
        if kind == "--temp":
            assert started.kill(number)
        else:  # the stage alone for SIGINT, as `dvc queue kill` does; else with the worker
            for process in running(project, "" if number == signal.SIGKILL else "stages.train"):
                os.kill(process, number)
            wait_until(lambda: not running(project, "stages.train"))
        faults[f"{number.name} in exp run {kind}"] += 1
        faults["kills"] += 1
        again = start("again")
        if kind == "--queue":
            wait_until(lambda: run(project, "git", "for-each-ref", "**/again"))
            output = run(project, "dvc", "queue", "logs", "again")
        else:
            assert again.wait(5 * PATIENCE) == 0, again.output()
            output = again.output()
        assert SAVED.search(output), output
        note_resumption(output, faults)
        assert trained(project, "again") == slower
        assert run(project, "git", "status", "--porcelain") == ""
    finally:
        for process in running(project):
            os.kill(process, signal.SIGKILL)
