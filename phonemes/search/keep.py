"""Winners of a search as DVC experiments, which `dvc exp show` and `dvc metrics diff` know."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phonemes.errors import InputError
from phonemes.recipes import overrides
from phonemes.search.journal import Trial
from phonemes.search.space import SEARCHED, Space
from phonemes.search.winners import final_values


def keep(name: str, space: Space, trials: Sequence[Trial]) -> Iterator[str]:
    """Run trials as experiments, those that are none yet; yield the names of these.

    Args:
        name: of the search.
        space: that was searched.
        trials: of it.

    Raises:
        InputError: DVC fails; it said why.
    """
    for trial in trials:
        values = final_values(space, trial)
        experiment = f"{name}-{trial.number}"
        if keep_experiment(experiment, {section: values[section] for section in SEARCHED}):
            yield experiment


def keep_experiment(name: str, values: Mapping[str, Any]) -> bool:
    """Run the pipeline with some values in a copy of the project, as an experiment.

    Args:
        name: of the experiment.
        values: section by section.

    Returns:
        Whether it ran; not where there is an experiment of that name.

    Raises:
        InputError: DVC fails; it said why.
    """
    if name in _dvc("exp", "list", "--name-only").split():
        return False
    words = [word for each in overrides(dict(values)) for word in ("-S", each)]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", name, *words]
    if subprocess.run(command).returncode:
        raise InputError(
            f"`dvc exp run` failed for {name}, see above; what the search found is not lost"
        )
    return True


def _dvc(*words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise InputError(f"`dvc {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout
