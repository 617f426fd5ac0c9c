"""What is drawn for one purpose has nothing in common with any other draw."""

import itertools

import numpy as np
import torch
from helpers import changed
from training.toy import CPU, TRAIN_LENGTHS, copied, new_run, toy

from phonemes.training.batches import make_batches
from phonemes.training.params import StackingParams
from phonemes.training.seeds import derived
from phonemes.training.stacking import stacked_params

SEEDS = (1, 2, 3)


def test_a_seed_and_a_role_always_give_the_same_seed():
    assert derived(11785, "initialization") == derived(11785, "initialization")
    assert derived(1, "initialization") == 8042438093091237944  # on every machine, in every release


def test_neighbouring_seeds_and_roles_share_nothing():
    roles = ["initialization", "order of frames", *(f"stacked {n}" for n in range(20))]
    found = [derived(seed, role) for seed in range(30) for role in roles]
    assert len({seed % 2**32 for seed in found}) == len(found)  # of which a CPU uses 32 bits
    assert all(0 <= seed < 2**63 for seed in found)


def test_a_role_under_a_derived_seed_is_not_that_under_the_seed_itself():
    assert derived(derived(1, "a"), "b") != derived(1, "ab") != derived(1, "b")


def test_runs_of_neighbouring_seeds_share_no_stacked_network(tiny):
    stacking = StackingParams(2, 10, 1, (7, 6), 0.1, 3)
    seeds = [
        {
            stacked_params(changed(tiny, train={"seed": seed}), stacking, number).train.seed
            for number in range(10)
        }
        for seed in SEEDS
    ]
    assert all(len(each) == 10 for each in seeds)
    assert not any(one & other for one, other in itertools.combinations(seeds, 2))


def test_the_order_of_frames_is_not_drawn_from_the_stream_of_the_weights(tiny):
    run = new_run(tiny)
    of_weights = torch.Generator().manual_seed(derived(tiny.train.seed, "initialization"))
    of_step = torch.default_generator.clone_state()
    generators = (run.batches.generator.clone_state(), of_weights, of_step)
    first = [torch.rand(5, generator=generator).tolist() for generator in generators]
    assert len({tuple(values) for values in first}) == 3


def test_pieces_are_dealt_by_a_seed_of_their_own(tiny):
    dealt = []
    for seed in SEEDS:
        train = changed(tiny.train, seed=seed, batches="streamed")
        batches = make_batches(toy(TRAIN_LENGTHS, tiny.data), tiny.data, train, CPU, torch.float32)
        dealt.append(batches.generator.initial_seed())
    assert len({*dealt, *SEEDS}) == 6


def test_neighbouring_seeds_give_other_weights(tiny):
    weights = [copied(new_run(changed(tiny, train={"seed": seed})))["0.weight"] for seed in SEEDS]
    for one, other in itertools.combinations(weights, 2):
        assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.5
