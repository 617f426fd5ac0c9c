"""Which process trains which epochs of which network, so that all processes end at about one time.

Where whole networks are dealt, some processes are idle in the end. By McNaughton's wrap-around
rule (1959, "Scheduling with deadlines and loss functions", Management Science 6(1)) the jobs are
laid end to end on a line, which is cut into equal lengths, one for each process. A job that is cut
is begun by the process behind the cut, as its first piece, and ended by the one before the cut, as
its last piece: no job is longer than a length, so that the two pieces do not overlap in time.
"""

from collections.abc import Sequence
from typing import NamedTuple

from phonemes.distributed.world import World

# by which cutting must shorten the makespan: another process reads data and gets ready once more
LEAST_GAIN = 0.05


class Job(NamedTuple):
    """A network to train."""

    frames: int  # of an epoch, which takes a time in proportion
    epochs: int


class Piece(NamedTuple):
    """Consecutive epochs of a job, trained by one process."""

    job: int  # its number
    start: int  # epochs that another process has trained before
    end: int  # epochs that are trained once the piece is


Schedule = list[list[Piece]]  # of each process, in the order in which it trains them


def schedule(jobs: Sequence[Job], processes: int, preemptive: bool) -> Schedule:
    """Return which pieces of jobs each process trains.

    Jobs are cut in at most two pieces, and only where that makes the longest process clearly
    faster. The first job is never cut: the first process trains it, as its first piece. A piece
    that begins a job is its process's first one: nobody waits for it in a circle.

    Args:
        jobs: that do not depend on each other.
        processes: M, how many there are.
        preemptive: whether a process may go on with what another one has begun.
    """
    whole = [
        [Piece(job, 0, jobs[job].epochs) for job in World(rank, processes, rank).share(len(jobs))]
        for rank in range(processes)
    ]
    if not preemptive:
        return whole
    cut = wrapped_around(jobs, processes)
    return cut if makespan(jobs, cut) <= (1 - LEAST_GAIN) * makespan(jobs, whole) else whole


def wrapped_around(jobs: Sequence[Job], processes: int) -> Schedule:
    """Return McNaughton's schedule, with cuts at the nearest end of an epoch.

    Without that its makespan is the least one: the mean of the processes, or the longest job.
    """
    pieces: Schedule = [[] for _ in range(processes)]
    times = [frames * epochs for frames, epochs in jobs]
    # places on the line are multiplied by the number of processes: whole numbers
    length = max([sum(times), *(processes * time for time in times)])
    place = 0
    for number, ((frames, epochs), time) in enumerate(zip(jobs, times, strict=True)):
        process = place // length
        place += processes * time
        beyond = place - (process + 1) * length
        begun = min(epochs, max(0, round(beyond / (processes * frames))))
        if begun:
            pieces[process + 1].append(Piece(number, 0, begun))
        if begun < epochs:
            pieces[process].append(Piece(number, begun, epochs))
    return pieces


def makespan(jobs: Sequence[Job], pieces: Schedule) -> int:
    """Return the frames in whose time all processes are ready; a piece waits for the one before."""
    ends = []
    for own in pieces:
        now = 0
        for number, start, end in own:
            frames = jobs[number].frames
            now = max(now, start * frames) + (end - start) * frames
        ends.append(now)
    return max(ends)
