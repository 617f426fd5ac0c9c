"""A search goes on after any end, is shared by processes, and counts what it trained."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers import ROOT, set_params

from phonemes.commands.search import open_search
from phonemes.errors import InputError
from phonemes.search import journal, study
from phonemes.search import trial as training
from phonemes.search.journal import JOURNAL, Record, counted
from phonemes.search.outcome import StoppedError
from phonemes.search.retraining import retrain
from phonemes.search.study import Plan
from phonemes.search.winners import START, best_of, finals, further_seeds, ranked, top, winner
from phonemes.search.workers import in_threads

pytestmark = pytest.mark.heavy


def plan(trials=6, **changes):
    return Plan("tpe", "halving", 1, trials, None)._replace(**changes)


def opened(space, name, plan, parallel=None):
    """Return a search that is ready to start."""
    return open_search(space, name, plan, parallel)[0]


def searched(name="s", space="space.yaml", **changes):
    """Return a search that is over."""
    found = opened(space, name, plan(**changes))
    assert found.run(lambda progress: None) is False
    return found


def retrained(found, *arguments):
    """Train winners of a search with further seeds."""
    return retrain(found.study, found.space, found.workers, *arguments)


def drawn(search):
    return [trial.record.values for trial in search.trials()]


def curves(search):
    return [trial.curve for trial in search.trials()]


# What is drawn and trained


def test_the_same_seed_draws_and_finds_the_same_and_another_seed_does_not(search_project):
    first, second, other = (
        searched(name, seed=seed, trials=25) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert drawn(first) == drawn(second)
    assert curves(first) == curves(second)
    assert drawn(first) != drawn(other)


def test_a_search_in_two_parts_is_the_same_as_in_one(search_project):
    whole = searched("whole", trials=25)
    searched("parts", trials=22)  # TPE has begun
    assert curves(searched("parts", trials=25)) == curves(whole)


def test_random_draws_do_not_depend_on_what_was_found(search_project):
    first = searched("a", sampler="random", pruner="none", trials=4)
    second = searched("b", sampler="random", pruner="halving", trials=4)
    assert drawn(first) == drawn(second)


def test_trials_are_counted_over_all_runs_and_no_more_are_trained(search_project):
    assert len(searched(trials=3).trials()) == 3
    assert len(searched(trials=5).trials()) == 5
    assert len(searched(trials=2).trials()) == 5


@pytest.mark.parametrize("pruner", ["halving", "hyperband", "none"])
def test_trainings_that_lag_behind_are_ended_early_where_that_is_wanted(search_project, pruner):
    found = searched(pruner=pruner, trials=12).trials()
    assert all(len(trial.curve) == 3 for trial in found if trial.record.ending == "complete")
    early = [trial for trial in found if trial.record.ending == "pruned"]
    assert all(len(trial.curve) < 3 and trial.record.reporting is None for trial in early)
    assert bool(early) == (pruner != "none") or pruner == "hyperband"


def test_a_trial_has_its_accuracies_epochs_and_costs(search_project):
    found = searched(pruner="none", trials=3).trials()
    for trial in found:
        record = trial.record
        assert max(trial.curve) == record.choosing == trial.curve[record.epoch - 1]
        assert 0 <= record.reporting <= 1
        assert record.parameters > 0
        assert record.seconds > 0
        assert 0 < record.overhead_seconds < 5


def test_a_search_ends_when_its_time_is_over_and_the_trial_goes_on_later(search_project):
    Path("long.yaml").write_text("train: {lr: [0.01, 0.02], epochs: 3000}")
    late = opened("long.yaml", "t", plan(None, deadline=time.perf_counter() + 1.5))
    began = time.perf_counter()
    assert late.run(lambda progress: None) is False
    assert time.perf_counter() - began < 10
    (trial,) = late.trials()
    assert trial.record.ending == "stopped"
    assert not counted(trial)
    (waiting,) = late.study.get_trials(states=(journal.TrialState.WAITING,))
    assert waiting.system_attrs["fixed_params"] == {
        "train.lr": json.dumps(trial.record.values["train.lr"])
    }


# What is not trained


def test_a_network_above_the_limit_is_not_trained_and_not_counted(search_project, monkeypatch):
    Path("capped.yaml").write_text(
        "model: {max_parameters: 6000, hidden: {blocks: 2, width: [8, 512]}}\ntrain: {epochs: 1}"
    )
    trained = []
    train = training.train

    def counting(ready, device, params, *rest):
        trained.append(params.model.hidden)
        return train(ready, device, params, *rest)

    monkeypatch.setattr(training, "train", counting)
    found = searched(space="capped.yaml", sampler="random", trials=4).trials()
    refused = [each for each in found if each.record.ending == "refused"]
    assert trained == [(8, 8)] * 4
    assert sum(map(counted, found)) == 4
    assert refused
    assert all("parameters; model.max_parameters is 6,000" in t.record.reason for t in refused)
    assert all(not trial.curve for trial in refused)


def test_a_search_ends_where_all_values_contradict_each_other(search_project, monkeypatch):
    monkeypatch.setattr(study, "MOST_REFUSED", 5)
    Path("odd.yaml").write_text("train: {warmup_epochs: [5, 6], epochs: 2}")
    found = opened("odd.yaml", "odd", plan())
    with pytest.raises(InputError, match=r"^5 trials in a row were refused, the last one since: "):
        found.run(lambda progress: None)
    assert [trial.record.ending for trial in found.trials()] == ["refused"] * 5


def test_a_training_that_diverges_counts_as_a_trial(search_project):
    Path("wild.yaml").write_text(
        "model: {norm: none}\ntrain: {optimizer: sgd, lr: [90, 100], epochs: 2}"
    )
    found = searched(space="wild.yaml", trials=3).trials()
    assert [trial.record.ending for trial in found] == ["diverged"] * 3
    assert all("training diverged in epoch 1" in trial.record.reason for trial in found)
    assert best_of(found) is None


# Other processes


def start(*arguments):
    """Start a search in a process of its own."""
    command = [sys.executable, "-m", "phonemes", "search", "space.yaml", "--seeds", "0", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(trials, name="space"):
    """Wait until a search has some finished trials."""
    path = Path("search", name, JOURNAL)
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b'"record":') < trials:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_search_loses_no_finished_trial_and_begins_the_others_again(search_project):
    process = start("--trials", "500")
    wait_for(8)
    process.kill()
    process.communicate()
    whole = opened("space.yaml", "space", plan(None))
    before = whole.trials()
    left = whole.study.get_trials(states=(journal.TrialState.RUNNING,))
    assert len(before) >= 8
    begun = len(whole.study.get_trials())
    assert journal.begin_again(whole.study) == len(left) <= 1
    again = searched("space", trials=sum(map(counted, before)) + 2)
    assert again.trials()[: len(before)] == before
    tried = [trial.params for trial in again.study.get_trials()[begun:]]
    for trial in left:  # killed, perhaps, before all its values were drawn
        assert any(trial.params.items() <= values.items() for values in tried)


def test_two_processes_share_a_search(search_project):
    processes = [start("--trials", "24") for _ in range(2)]
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    whole = opened("space.yaml", "space", plan(None))
    found = whole.trials()
    assert sum(map(counted, found)) == 24
    assert len({trial.number for trial in found}) == len(found)
    workers = {tuple(trial.user_attrs[journal.WORKER]) for trial in whole.study.get_trials()}
    assert len(workers) == 2
    assert len({json.dumps(values) for values in drawn(whole)}) > 12


def test_ctrl_c_leaves_results_and_says_so(search_project):
    process = start("--trials", "5000")
    wait_for(3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.endswith("interrupted; the same command goes on\n")
    assert {path.name for path in Path("search/space").iterdir()} >= {
        "trials.csv", "search.html", "best.yaml",
    }  # fmt: skip


# The journal


def test_a_line_that_was_being_written_is_removed(search_project):
    found = searched(trials=3)
    path = found.folder / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-40:-9])
    assert searched(trials=3).trials() == found.trials()
    assert path.read_bytes().startswith(whole)
    assert len(searched(trials=4).trials()) == 4


def test_a_journal_of_another_space_or_corpus_is_refused(search_project):
    searched(trials=1)
    Path("space.yaml").write_text("train: {lr: [0.1, 0.2]}")
    with pytest.raises(InputError, match=r"^search/s holds a search with another space or params"):
        opened("space.yaml", "s", plan())


def test_a_journal_that_is_none_is_refused(search_project):
    Path("search/s").mkdir(parents=True)
    Path("search/s", JOURNAL).write_text("not a journal\nat all\n")
    with pytest.raises(InputError, match=r"search/s/journal\.log is damaged"):
        opened("space.yaml", "s", plan())


def test_a_trial_of_a_living_process_is_left_to_it(search_project):
    whole = opened("space.yaml", "s", plan())
    trial = journal.ask(whole.study, "tpe", 1)
    assert journal.begin_again(whole.study) == 0
    trial.set_user_attr(journal.WORKER, ["another machine", 1, 2.0])
    assert journal.begin_again(whole.study) == 0
    host, _, started = journal.worker()
    trial.set_user_attr(journal.WORKER, [host, 2**22 + 5, started])
    assert journal.begin_again(whole.study) == 1


def test_a_trial_whose_process_ended_before_it_said_so_does_not_count_as_running(search_project):
    whole = opened("space.yaml", "s", plan(trials=2))
    whole.study.ask()
    assert journal.running(whole.study) == 1
    assert whole.run(lambda progress: None) is False
    assert journal.running(whole.study) == 0
    assert sum(map(counted, whole.trials())) == 2


# What cannot be searched


def test_a_corpus_that_is_not_packed_or_another_one_is_refused(search_project):
    set_params({"corpus": {"source": "synthetic"}})
    with pytest.raises(InputError, match=r"packed with other values of corpus\.source or features"):
        opened("space.yaml", "s", plan())
    Path("data").unlink()
    with pytest.raises(InputError, match=r"description\.json .*run `dvc repro` to make it"):
        opened("space.yaml", "s", plan())


def test_on_a_cpu_several_networks_are_several_processes(search_project):
    with pytest.raises(InputError, match="--parallel is 2; on cpu one network at a time"):
        opened("space.yaml", "s", plan(), 2)


@pytest.mark.parametrize("name", ["../x", "a b", "", "-x"])
def test_a_name_that_is_no_folder_is_refused(search_project, name):
    with pytest.raises(InputError, match=r"^--name is "):
        opened("space.yaml", name or "..", plan())


# Winners


def test_winners_and_the_start_are_trained_with_further_seeds_once(search_project):
    found = searched(pruner="none", trials=4)
    best = top(found.trials(), 2)
    left = []
    assert retrained(found, best, 2, left.append) is False
    assert left[-1] == 0
    names = {final.name: final for final in found.finals()}
    assert set(names) == {START, *(f"trial {trial.number}" for trial in best)}
    assert all(len(final.choosing) == 2 for final in names.values())
    records = journal.retrained(found.study)
    retrained(found, best, 2, left.append)
    assert journal.retrained(found.study) == records
    assert further_seeds(found.space, 2) == [2, 3]


def test_a_winner_is_trained_with_what_the_space_says_for_that(search_project):
    text = Path("space.yaml").read_text() + "retrain: {train: {epochs: 5}}\n"
    Path("longer.yaml").write_text(text)
    found = searched(space="longer.yaml", trials=1, pruner="none")
    seen = []
    train = found.workers.train
    found.workers = found.workers._replace(
        train=lambda *all_: seen.append(all_[0].train) or train(*all_)
    )
    retrained(found, found.trials(), 1, lambda left: None)
    assert sorted((each.epochs, each.seed) for each in seen) == [(2, 2), (5, 2)]


def test_trials_are_ranked_by_the_half_that_is_chosen_on_and_pruned_ones_are_not():
    def trial(number, choosing, ending="complete", lr=0.1):
        values = {"train.lr": lr}
        return journal.Trial(number, Record(ending, values, choosing=choosing), [], 0.0, 1.0)

    some = [trial(0, 0.5), trial(1, 0.9, "pruned"), trial(2, 0.7, lr=0.2), trial(3, 0.7, lr=0.2)]
    assert [each.number for each in ranked(some)] == [2, 3, 0]
    assert [each.number for each in top(some, 3)] == [2, 0]
    over = finals({
        "trial 0, seed 2": Record("complete", {}, choosing=0.8, reporting=0.6, seconds=1.0),
        "trial 0, seed 3": Record("complete", {}, choosing=0.6, reporting=0.5, seconds=1.0),
        "trial 2, seed 2": Record("complete", {}, choosing=0.6, reporting=0.7, seconds=1.0),
        "trial 2, seed 3": Record("diverged", {}),
        "start, seed 2": Record("complete", {}, choosing=0.9, reporting=0.9, seconds=1.0),
    })  # fmt: skip
    assert [each.name for each in over] == ["start", "trial 0", "trial 2"]
    assert (over[1].choosing_mean, over[1].reporting_mean) == pytest.approx((0.7, 0.55))
    assert winner(some, over).number == 0
    assert winner(some, []).number == 2


# Threads


def test_several_networks_at_once_find_what_one_after_the_other_does(search_project):
    """Without distortions and dropout: on a CPU threads share torch's random state."""
    set_params({"augment": {"gain": 0, "noise": 0}})
    Path("plain.yaml").write_text(
        "data: {k: {low: 0, high: 3}}\ntrain: {lr: {low: 0.01, high: 0.1}}"
    )
    how = {"sampler": "random", "pruner": "none", "trials": 8}
    one = searched("one", "plain.yaml", **how)
    several = opened("plain.yaml", "several", plan(**how))
    several.workers = several.workers._replace(number=3)
    assert several.run(lambda progress: None) is False
    assert drawn(several) == drawn(one)
    assert curves(several) == curves(one)


def test_a_thread_that_fails_ends_the_others_and_its_error_is_raised():
    stop, ended = threading.Event(), []

    def work():
        if not ended:
            ended.append("first")
            raise InputError("it cannot be")
        assert stop.wait(20)
        ended.append("other")

    with pytest.raises(InputError, match=r"^it cannot be$"):
        in_threads(work, 3, stop, lambda: None)
    assert ended == ["first", "other", "other"]


def test_an_interruption_stops_all_threads_and_is_told():
    stop, looks = threading.Event(), []

    def look():
        looks.append(1)
        if len(looks) == 1:
            raise KeyboardInterrupt

    assert in_threads(lambda: stop.wait(20), 2, stop, look) is True


def test_what_shows_the_progress_may_fail_and_all_threads_end():
    stop = threading.Event()

    def look():
        raise OSError("no space left")

    with pytest.raises(OSError, match=r"^no space left$"):
        in_threads(lambda: stop.wait(20), 2, stop, look)
    assert stop.is_set()


def test_a_training_that_is_stopped_keeps_nothing(search_project):
    found = searched(trials=1)

    def stopped(*_):
        raise StoppedError

    found.workers = found.workers._replace(train=stopped)
    retrained(found, found.trials(), 1, lambda left: None)
    assert found.finals() == []
