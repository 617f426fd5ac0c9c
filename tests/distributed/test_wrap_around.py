"""Networks are cut so that processes are busy to the end, and only where that is worth it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.distributed.wrap_around import Job, Piece, makespan, schedule, wrapped_around

# one network on all frames, and five that each leave a fold out
BASE = [Job(500, 60), *[Job(400, 60)] * 5]
UNIT = 100 * 60
JOBS = st.lists(st.builds(Job, st.integers(1, 1000), st.integers(1, 90)), min_size=1, max_size=12)


def test_four_processes_share_six_networks_evenly():
    # 25 units: 6.25 each, and an epoch of a fold's network is 1/15 of a unit
    assert schedule(BASE, 4, True) == [
        [Piece(0, 0, 60), Piece(1, 41, 60)],
        [Piece(1, 0, 41), Piece(2, 8, 60)],
        [Piece(2, 0, 8), Piece(3, 0, 60), Piece(4, 34, 60)],
        [Piece(4, 0, 34), Piece(5, 0, 60)],
    ]


@pytest.mark.parametrize(
    ("processes", "units"), [(1, 25), (2, 13), (3, 8 + 1 / 3), (4, 6.25), (5, 5), (6, 5), (9, 5)]
)
def test_the_longest_process_has_the_mean_or_the_longest_network(processes, units):
    pieces = schedule(BASE, processes, True)  # two processes: 12.5 units would save 4 %
    assert makespan(BASE, pieces) / UNIT == pytest.approx(units, abs=1 / 15)


@pytest.mark.parametrize(
    ("jobs", "processes", "preemptive"),
    [
        (BASE, 4, False),  # of several hosts
        (BASE, 2, True),  # 4 % less
        (BASE, 6, True),  # the longest network takes as long
        (BASE, 9, True),
        ([Job(400, 1)] * 6, 4, True),  # no epoch can be cut
    ],
)
def test_whole_networks_are_dealt_where_cutting_gains_nothing(jobs, processes, preemptive):
    pieces = schedule(jobs, processes, preemptive)
    assert len(pieces) == processes
    assert sorted(piece for own in pieces for piece in own) == [
        Piece(number, 0, job.epochs) for number, job in enumerate(jobs)
    ]
    if processes == 4:
        assert [[piece.job for piece in own] for own in pieces] == [[0], [1], [2, 5], [3, 4]]


@pytest.mark.parametrize("deal", [wrapped_around, lambda *given: schedule(*given, True)])
@given(jobs=JOBS, processes=st.integers(1, 14))
def test_every_epoch_is_trained_once_and_nobody_waits_in_a_circle(deal, jobs, processes):
    pieces = deal(jobs, processes)
    assert len(pieces) == processes
    for number, (_, epochs) in enumerate(jobs):
        of_job = sorted(piece for own in pieces for piece in own if piece.job == number)
        assert len(of_job) <= 2
        assert [piece.start for piece in of_job] == [0, *(piece.end for piece in of_job[:-1])]
        assert of_job[-1].end == epochs
    for own in pieces:
        for place, (number, start, end) in enumerate(own):
            assert end == jobs[number].epochs or place == 0  # begins a job before all else
            assert start == 0 or place == len(own) - 1
            assert start < end


@given(JOBS, st.integers(1, 14))
def test_the_makespan_is_the_least_one_but_for_an_epoch(jobs, processes):
    times = [frames * epochs for frames, epochs in jobs]
    least = max(sum(times) / processes, *times)
    found = makespan(jobs, wrapped_around(jobs, processes))
    assert least <= found <= least + max(frames for frames, _ in jobs)


@given(st.integers(1, 1000), st.integers(1, 90), st.integers(2, 12), st.integers(1, 14))
def test_the_first_process_trains_the_longest_network_first_and_alone(
    frames, epochs, folds, processes
):
    jobs = [Job(frames * folds, epochs), *[Job(frames * (folds - 1), epochs)] * folds]
    assert schedule(jobs, processes, True)[0][0] == Piece(0, 0, epochs)


def test_a_piece_waits_for_the_end_of_the_one_before():
    jobs = [Job(10, 4)]
    assert makespan(jobs, [[Piece(0, 3, 4)], [Piece(0, 0, 3)]]) == 40
