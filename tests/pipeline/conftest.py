"""The project that the modules here share: reproduced once, copied where a test changes it."""

import subprocess
from pathlib import Path

import pytest
from helpers import STAGES, commit, new_project, ran, set_params
from pipeline.outcomes import ONE_THREAD, TRAINING


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory) -> Path:
    """Return a project in which `dvc repro` ran once, undisturbed. Only its copies are changed."""
    folder = new_project(tmp_path_factory.mktemp("reproduced") / "project")
    set_params(TRAINING, folder)
    result = subprocess.run(
        ["dvc", "repro"], cwd=folder, env=ONE_THREAD, text=True, capture_output=True
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert ran(result.stdout) == [*STAGES]
    commit(folder)
    return folder
