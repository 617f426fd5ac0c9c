"""A process knows its number among those that torchrun started, and what it is to do."""

import pytest
import torch

from phonemes.distributed.world import World, joined


@pytest.fixture
def environment(monkeypatch):
    """Return what sets the variables of torchrun."""

    def set_to(*values):
        for name, value in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), values, strict=True):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    return set_to


@pytest.mark.parametrize("values", [(None, None, None), (None, "4", None), ("0", "x", "0")])
def test_a_process_that_torchrun_did_not_start_is_alone(environment, values):
    environment(*values)
    world = World.of_environment()
    assert world == World.alone() == (0, 1, 0)
    assert world.first
    assert world.gpu is None


def test_a_process_of_torchrun_has_the_gpu_of_its_local_rank(environment):
    environment("5", "8", "1")
    world = World.of_environment()
    assert (world.rank, world.size, world.gpu, world.first) == (5, 8, 1, False)


@pytest.mark.parametrize(("count", "size"), [(6, 2), (7, 3), (2, 4), (0, 2)])
def test_every_thing_is_in_the_share_of_its_owner_alone(count, size):
    shares = [World(rank, size, rank).share(count) for rank in range(size)]
    assert sorted(number for share in shares for number in share) == [*range(count)]
    for rank, share in enumerate(shares):
        assert all(World(0, size, 0).owner(number) == rank for number in share)


def test_who_has_the_first_thing_gets_the_last_of_others():
    # the first takes 1, each of five others 0.8: four processes take 1.6 at most
    shares = [World(rank, 4, rank).share(6) for rank in range(4)]
    assert shares == [[0], [1], [2, 5], [3, 4]]


def test_a_single_process_waits_for_nobody_and_has_all_values():
    with joined(World.alone(), torch.device("cpu")) as group:
        tensor = torch.ones(2)
        group.wait()
        group.broadcast([tensor], 0)
    assert tensor.tolist() == [1, 1]
