"""The model of a step adds up what is measured, and hides all-reduces where there is work left."""

import pytest

from benchmarks.step_model import (
    GATHER_BYTES,
    GRADIENT,
    KERNELS,
    OPTIMIZER_BYTES,
    OTHER_KERNELS,
    Line,
    Net,
    Rates,
    alone,
    interpolated,
    parts,
    together,
)

NET = Net(10, (20, 30), 5)  # 200, 600 and 150 weights
RATES = Rates(1e9, 1e8, 1e-6, 2e-8, 3e-8, 5e-8)
NO_TIME = Rates(1e30, 1e30, 0.0, 0.0, 0.0, 0.0)


def test_a_net_counts_its_products_and_their_operations():
    assert NET.products == [200, 600, 150]
    assert NET.operations == 2 * (2 * 200 + 3 * 600 + 3 * 150)


def test_a_step_of_one_gpu_is_products_what_is_between_them_bytes_and_latency():
    products = 64 * NET.operations / 1e9
    between = 64 * (50 * (2e-8 + 3e-8) + 5 * 5e-8)
    moved = (64 * 10 * GATHER_BYTES + 950 * OPTIMIZER_BYTES) / 1e8
    latency = (3 * KERNELS + OTHER_KERNELS) * 1e-6
    assert alone(NET, 64, RATES) == pytest.approx(products + between + moved + latency)


def test_parts_are_all_gradients_the_first_layer_last():
    assert parts(NET, 1) == [(150, 2), (600, 1), (200, 0)]
    assert parts(NET, 10**9) == [(750, 1), (200, 0)]
    assert parts(NET, 500) == [(750, 1), (200, 0)]


def test_nothing_hides_the_all_reduces_of_a_step_that_takes_no_time():
    seconds = together(NET, 64, NO_TIME, lambda count: count * 1e-3, 1)
    assert seconds == pytest.approx(950 * GRADIENT * 1e-3)


def test_only_the_all_reduce_of_the_first_layer_is_seen_where_the_others_are_short():
    def reduce(count):
        return 1e-7 * count / 200

    seconds = together(NET, 64, RATES, reduce, 1)
    assert seconds == pytest.approx(alone(NET, 64, RATES) + reduce(200 * GRADIENT))


def test_a_long_all_reduce_begins_when_its_gradients_are_complete():
    whole = alone(NET, 64, RATES)
    seconds = together(NET, 64, RATES, lambda count: 1.0, 10**9)
    assert 2.0 < seconds < whole + 2.0  # one after the other, the first before the step is over


def test_a_line_goes_through_times_that_lie_on_one():
    sizes = [2**power for power in range(12, 28)]
    line = Line.through({size: 2e-5 + size / 2e11 for size in sizes}, 2)
    assert line.latency == pytest.approx(2e-5)
    assert line.bandwidth == pytest.approx(2e11)
    reduce = line.on(2)
    assert reduce(2**24) == pytest.approx(2e-5 + 2**24 / 2e11)


def test_more_gpus_send_more_bytes_each_and_hosts_add_the_network():
    line = Line(2e-5, 2e11, 2)
    times = [line.on(gpus)(2**26) for gpus in (1, 2, 4, 8, 16, 64)]
    assert times[0] == 0
    assert times == sorted(times)
    assert line.on(8)(2**40) / line.on(2)(2**40) == pytest.approx(2 * 7 / 8, rel=1e-3)


def test_sizes_between_measured_ones_are_interpolated():
    assert interpolated({100: 1.0, 300: 2.0})(200) == pytest.approx(1.5)
