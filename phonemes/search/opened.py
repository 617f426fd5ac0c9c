"""Open a search in the current folder: its space, the corpus on the device, and its journal."""

import re
from hashlib import blake2b

from phonemes.errors import InputError
from phonemes.inference.device import choose_device
from phonemes.params import checked
from phonemes.recipes import SEARCHES
from phonemes.schema import read_yaml_file
from phonemes.search.corpus import digest, read_corpus
from phonemes.search.journal import open_study, pruner
from phonemes.search.resident import Resident
from phonemes.search.space import find_space, read_space
from phonemes.search.study import Plan, Search
from phonemes.storage.inputs import PARAMS

PARALLEL = 4  # networks at a time on a GPU


def open_search(space_name: str, name: str | None, plan: Plan) -> Search:
    """Return a search, ready to start or to go on.

    Args:
        space_name: of a space of the project, or a path.
        name: of the folder in search/; None: the space's.
        plan: how to search; `parallel` 0 or None leaves the number of networks to the device.

    Raises:
        InputError: the space, the corpus, params.yaml or the journal cannot be used.
    """
    path = find_space(space_name)
    folder = SEARCHES / _checked_name(name or path.stem)
    values = read_yaml_file(PARAMS)
    params = checked(values, str(PARAMS))
    space = read_space(path, values)
    device = choose_device(params.runtime.device)
    if device.type != "cuda" and (plan.parallel or 1) > 1:
        raise InputError(
            f"--parallel is {plan.parallel}; on {device.type} one network at a time is trained: "
            "start the command several times, the processes share the search"
        )
    parallel = plan.parallel or (PARALLEL if device.type == "cuda" else 1)
    corpus = read_corpus(params)
    resident = Resident(corpus, device, space.largest("data.k"))
    facts = {"space or params.yaml": _digest_of(repr(space)), "corpus": digest(corpus)}
    study = open_study(folder, facts, pruner(plan.pruner, space.largest("train.epochs")))
    return Search(folder, space, resident, study, plan._replace(parallel=parallel))


def _checked_name(name: str) -> str:
    """Return the name of a folder.

    Raises:
        InputError: it would be no folder in search/, or no word in a shell.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise InputError(f"--name is {name!r}; expected letters, digits, '.', '_' and '-'")
    return name


def _digest_of(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
