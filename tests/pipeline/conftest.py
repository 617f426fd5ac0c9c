"""The project that the modules here share: reproduced once, copied where a test changes it."""

from pathlib import Path

import pytest
from helpers import STAGES, commit, new_project, ran, set_params
from pipeline.outcomes import TRAINING, run_on_one_thread


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory) -> Path:
    """Return a project in which `dvc repro` ran once, undisturbed. Only its copies are changed."""
    folder = new_project(tmp_path_factory.mktemp("reproduced") / "project")
    set_params(TRAINING, folder)
    assert ran(run_on_one_thread(folder, "dvc", "repro")) == [*STAGES]
    commit(folder)
    return folder
