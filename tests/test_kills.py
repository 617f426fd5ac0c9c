"""After any kill `dvc repro` finishes, with the bytes of a run that was never disturbed."""

import csv
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
from test_pipeline import ENVIRONMENT, STAGES, commit, new_project, ran, run, set_params

from stages import mend

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SIGNALS = (signal.SIGKILL, signal.SIGINT)
EPOCHS = 80
# one thread: two that wait for each other are many times slower on a busy machine
ONE_THREAD = ENVIRONMENT | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
SAVED = re.compile(r"going on after epoch \d+, (\d+) of \d+ epochs saved")
TIMED = ("frames_per_second", "seconds")  # columns of the history that no two runs share
# about what a stage takes, in seconds
SECONDS = {
    "corpus": 0.5,
    "normalize": 0.3,
    "context": 0.3,
    "train": 1.5,
    "evaluate": 2.0,
    "predict": 1.5,
}
PATIENCE = 60  # s until something that takes a second counts as never happening


def outputs(project: Path, *stages: str) -> list[Path]:
    """Return everything that the stages, or all of them, declare to write, in their order."""
    declared = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    names = [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in stages or STAGES
        for out in declared[stage]["outs"] + declared[stage].get("metrics", [])
    ]
    return [project / name for name in names]


def content(path: Path) -> dict[str, bytes | str]:
    """Return what lies at `path`, without the columns of the history that tell time."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found: dict[str, bytes | str] = {}
    for file in filter(Path.is_file, files):
        name = file.relative_to(path.parent).as_posix()
        found[name] = file.read_bytes()
        if file.name == "history.csv":
            rows = csv.DictReader(file.read_text("utf-8").splitlines())
            found[name] = str([{k: row[k] for k in row if k not in TIMED} for row in rows])
    return found


def outcome(project: Path) -> dict[Path, dict[str, bytes | str]]:
    """Return what all stages wrote."""
    return {path.relative_to(project): content(path) for path in outputs(project) if path.exists()}


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
        """Send the signal to all processes of the session; tell whether it came in time."""
        alive = self.process.poll() is None
        if alive:
            os.killpg(self.process.pid, number)
        self.wait()
        return alive


def mended(project: Path, output: str) -> str:
    """Have that of DVC removed which it could not read after a kill; return its name or ""."""
    if not re.search(r"dvc\.lock|RWLock-file|not 'NoneType'", output):
        return ""
    found = run(project, sys.executable, "-m", "stages.mend")
    names = re.findall("removed (.*), which DVC was killed while writing", found)
    return " and ".join(sorted({"a run" if "/runs/" in name else name for name in names}))


def repro(project: Path, faults: Counter) -> str:
    """Run `dvc repro`, which must succeed once DVC's own files can be read."""
    started = Started(project, "dvc", "repro")
    failed = started.wait(5 * PATIENCE)
    if failed and (name := mended(project, started.output())):
        faults[f"{name} left unreadable by DVC"] += 1
        return repro(project, faults)
    assert not failed, started.output()
    note_resumption(started.output(), faults)
    return started.output()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Return a project in which everything ran once, and nothing was killed."""
    project = unstarted(tmp_path_factory.mktemp("kills") / "undisturbed")
    repro(project, Counter())
    commit(project)
    return project


def unstarted(folder: Path) -> Path:
    """Return a project in which nothing ran and training lasts about two seconds."""
    project = new_project(folder)
    set_params(project, {"train": {"epochs": EPOCHS, "lr": 3e-4}})
    commit(project)
    return project


def check_undisturbed(project: Path, undisturbed: Path) -> None:
    """Assert that all outputs are those of the undisturbed run, and nothing else is left."""
    assert outcome(project) == outcome(undisturbed)
    assert len(outcome(project)) == len(outputs(project))
    assert partials(project) == []
    assert "Data and pipelines are up to date" in run(project, "dvc", "status")
    lock, reference = (yaml.safe_load((p / "dvc.lock").read_text()) for p in (project, undisturbed))
    for stages in (lock["stages"], reference["stages"]):
        stages["train"]["outs"] = None  # the history's digest, with its times
    assert lock == reference
    run(project, "git", "add", "-A")  # dvc.lock and the metrics are new here
    names = run(project, "git", "diff", "--cached", "--name-only").split()
    assert set(names) <= {"dvc.lock", "metrics/context.json", "metrics/evaluate.json"}


def check_whole(project: Path, undisturbed: Path) -> None:
    """Assert that every output is whole or absent, whatever was killed."""
    wanted = outcome(undisturbed)
    for name, found in outcome(project).items():
        assert found == wanted[name], f"{name} is half-written"


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
            begin_anew(project)
            patience /= 2


def killed_during(
    project: Path, stage: str, moments: random.Random, patience: float, faults: Counter
) -> bool:
    """Kill `dvc repro` in that stage or a later one; tell whether it came before the end."""
    to_come = "|".join(STAGES[STAGES.index(stage) :])
    started = Started(project, "dvc", "repro")
    started.wait_for(f"Running stage '({to_come})'")
    while started.process.poll() and (name := mended(project, started.output())):
        faults[f"{name} left unreadable by DVC"] += 1
        started = Started(project, "dvc", "repro")
        started.wait_for(f"Running stage '({to_come})'")
    assert not started.process.poll(), started.output()
    reached = (ran(started.output()) or ["none"])[-1]
    if reached == "train" and moments.random() < 0.7:  # rather not while torch is imported
        started.wait_for("epoch 2: |going on after")  # by then there is a checkpoint
    time.sleep(moments.uniform(0, patience * SECONDS.get(reached, 0)))
    number = moments.choice(SIGNALS)
    came = started.kill(number)
    if came:
        faults[f"{number.name} in {reached}"] += 1
        faults["kills"] += 1
    note_resumption(started.output(), faults)
    return came


def begin_anew(project: Path) -> None:
    """Forget everything that ran in a project."""
    (project / "dvc.lock").unlink()
    shutil.rmtree(project / ".dvc/cache/runs")
    shutil.rmtree(project / ".dvc/tmp/checkpoints")
    for path in outputs(project):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def note_resumption(output: str, faults: Counter) -> None:
    for saved in SAVED.findall(output):
        faults["trainings resumed"] += 1
        faults["epochs saved"] += int(saved)


def test_a_killed_repro_finishes_with_the_bytes_of_an_undisturbed_one(
    undisturbed, tmp_path, faults
):
    project = unstarted(tmp_path / "project")
    before = faults["kills"]
    order = ["corpus", "normalize", "context", *3 * ["train"], *3 * ["evaluate"], *2 * ["predict"]]
    kill_through_the_pipeline(project, order, random.Random(1), faults)
    repro(project, faults)
    check_undisturbed(project, undisturbed)
    assert faults["kills"] - before >= 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
def test_a_repro_killed_many_times_finishes_with_the_bytes_of_an_undisturbed_one(
    undisturbed, tmp_path, faults, seed
):
    project, moments = unstarted(tmp_path / "project"), random.Random(seed)
    before = faults["trainings resumed"]
    order = [stage for stage in STAGES for _ in range(5 if stage == "train" else 2)]
    kill_through_the_pipeline(project, order, moments, faults)
    repro(project, faults)
    check_undisturbed(project, undisturbed)
    assert faults["trainings resumed"] > before


# Runs a stage again and again in a fork, killed at its 1st, 2nd, ... operation on a file or
# folder of the project; after each it prints what happened and waits for a line.
KILL_AT_EACH_OPERATION = """
import importlib, itertools, os, signal, stages, sys
stage = importlib.import_module("stages." + sys.argv[1])
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
def three_epochs(tmp_path_factory) -> Path:
    """Return a project like the undisturbed one, with a shorter training."""
    project = new_project(tmp_path_factory.mktemp("operations") / "project")
    repro(project, Counter())
    commit(project)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("existing", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_output_is_whole_or_absent_wherever_its_stage_is_killed(
    three_epochs, tmp_path, faults, stage, existing
):
    project = tmp_path / "project"
    shutil.copytree(three_epochs, project, symlinks=True)
    own = outputs(project, stage)
    process = subprocess.Popen(
        [sys.executable, "-c", KILL_AT_EACH_OPERATION, stage],
        cwd=project,
        env=ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ends = []
    with process:
        while not ends or ends[-1] == -signal.SIGKILL:
            shutil.rmtree(project / ".dvc/tmp/checkpoints", ignore_errors=True)
            if not existing:
                for path in own:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            process.stdin.write("go on\n")
            process.stdin.flush()
            lines = (line for line in process.stdout if line.startswith("ended with"))
            ends.append(int(next(lines).split()[-1]))
            check_whole(project, three_epochs)
    assert ends[-1] == 0
    faults["kills at an operation on files"] += len(ends) - 1
    assert len(ends) > 3
    repro(project, faults)
    check_undisturbed(project, three_epochs)


@pytest.mark.parametrize("command", ["stage", "repro"])
def test_a_second_run_in_the_same_folder_is_refused_and_mixes_nothing(
    undisturbed, tmp_path, faults, command
):
    project = tmp_path / "project"
    shutil.copytree(undisturbed, project, symlinks=True)
    (project / "models/model.pt").unlink()
    shutil.rmtree(project / ".dvc/cache/runs")
    shutil.rmtree(project / ".dvc/tmp/checkpoints")  # with which nothing would be left to train
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
    assert outcome(project) == outcome(undisturbed)


@pytest.mark.slow
def test_two_repros_started_at_once_mix_nothing(undisturbed, tmp_path, faults):
    project = unstarted(tmp_path / "project")
    both = [Started(project, "dvc", "repro", log=name) for name in ("first", "second")]
    codes = [started.wait() for started in both]
    assert 0 in codes or all("blocked by" in started.output() for started in both)
    faults["pairs of repros at once"] += 1
    repro(project, faults)
    check_undisturbed(project, undisturbed)


@pytest.mark.slow
def test_a_stage_that_outlives_its_killed_dvc_is_waited_for(undisturbed, tmp_path, faults):
    project = unstarted(tmp_path / "project")
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
    check_undisturbed(project, undisturbed)


@pytest.mark.parametrize("share", [0, 0.6])
@pytest.mark.parametrize("name", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_what_dvc_leaves_half_written_is_mended(undisturbed, tmp_path, faults, name, share):
    project = tmp_path / "project"
    shutil.copytree(undisturbed, project, symlinks=True)
    content = (project / name).read_bytes()
    (project / name).write_bytes(content[: int(share * len(content))])  # as DVC leaves it
    output = repro(project, faults)
    assert not {"corpus", "normalize", "train", "predict"} & {*ran(output)}
    check_undisturbed(project, undisturbed)


def test_a_run_that_dvc_had_only_begun_to_keep_is_mended(undisturbed, tmp_path, faults):
    project = tmp_path / "project"
    shutil.copytree(undisturbed, project, symlinks=True)
    for kept in (project / ".dvc/cache/runs").glob("*/*/*"):
        kept.unlink()  # as DVC leaves it
    (project / "dvc.lock").unlink()
    before = faults["a run left unreadable by DVC"]
    output = repro(project, faults)
    assert faults["a run left unreadable by DVC"] == before + 1
    assert {*ran(output)} == {*STAGES}
    check_undisturbed(project, undisturbed)


def test_a_merge_that_waits_for_its_user_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conflict = "schema: '2.0'\n<<<<<<< HEAD\nstages:\n=======\n>>>>>>> other\n"
    Path("dvc.lock").write_text(conflict)
    mend.main()
    assert Path("dvc.lock").read_text() == conflict


def test_what_dvc_can_read_is_left_alone(undisturbed):
    assert run(undisturbed, sys.executable, "-m", "stages.mend") == ""


def test_what_dvc_is_writing_just_now_is_left_alone(undisturbed, tmp_path, monkeypatch):
    project = tmp_path / "project"
    shutil.copytree(undisturbed, project, symlinks=True)
    monkeypatch.chdir(project)
    lock = Path("dvc.lock")
    content = lock.read_text()
    lock.write_text("")
    monkeypatch.setattr(mend.time, "sleep", lambda _: lock.write_text(content))
    mend.main()
    assert lock.read_text() == content


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
    return outs["models/model.pt"]


@pytest.fixture(scope="module")
def slower(undisturbed) -> str:
    """Return the digest of the model of an undisturbed experiment with half the rate."""
    command = "dvc exp run --temp --name slower -S train.lr=1.5e-4"
    assert Started(undisturbed, *command.split()).wait(5 * PATIENCE) == 0
    digest = trained(undisturbed, "slower")
    shutil.rmtree(undisturbed / ".dvc/tmp/checkpoints")
    return digest


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("kind", ["--temp", "--queue"])
def test_a_killed_experiment_goes_on_when_it_is_run_again(
    undisturbed, slower, tmp_path, faults, kind, number
):
    project = tmp_path / "project"
    shutil.copytree(undisturbed, project, symlinks=True)
    shutil.rmtree(project / ".dvc/cache/runs")
    checkpoints = project / ".dvc/tmp/checkpoints"
    experiment = ("dvc", "exp", "run", kind, "-S", "train.lr=1.5e-4")

    def start(name: str) -> Started:
        started = Started(project, *experiment, "--name", name, log=name)
        if kind == "--queue":
            assert started.wait() == 0
            started = Started(project, "dvc", "queue", "start", log="worker")
            assert started.wait() == 0
        return started

    try:
        started = start("killed")
        wait_until(lambda: list(checkpoints.glob("*.pt")))
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
