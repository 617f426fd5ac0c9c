"""Benchmarks change the parameters of the checkout as `dvc exp run` does."""

from benchmarks.settings import overrides, with_recipe


def test_changes_are_written_as_dvc_takes_them(params):
    changed = with_recipe(
        changes="model.hidden=[64, 32] data.k=9 augment.time_warp=0.2 train.lr=1e-3"
    )
    assert changed.model.hidden == (64, 32)
    assert (changed.data.k, changed.augment.time_warp, changed.train.lr) == (9, 0.2, 1e-3)
    assert changed.smooth == params.smooth


def test_of_two_changes_of_a_value_the_last_counts():
    assert overrides("train.epochs=20 train.epochs=3 data.k=1") == {
        "train": {"epochs": 3},
        "data": {"k": 1},
    }


def test_changes_are_made_to_the_recipes():
    both = with_recipe("course", "stacked", changes="train.epochs=3")
    assert both.model.hidden == (1024, 1024, 1024, 512, 256, 256)
    assert (both.stacking.folds, both.train.epochs) == (5, 3)
