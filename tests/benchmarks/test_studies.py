"""Every row of a study is another setting, and differs from the others in what its name says."""

import pytest
from helpers import changed, set_params

from benchmarks import settings
from benchmarks.studies import STUDIES, rows

BASE = {  # in which every part that the study of the shipped parameters leaves out is on
    "model": {"target_context": 8, "hidden": [64] * 5, "dropout": 0.1},
    "augment": {"mel_scale": 0.12, "mel_shift": 1.5},
    "train": {"weight_decay": 0.1, "lr": 3e-3, "epochs": 5},
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Return the rows of each study."""
    folder = tmp_path_factory.mktemp("base")
    set_params(BASE, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "PARAMS", folder / "params.yaml")
        return {study: [*rows(study)] for study in STUDIES}


@pytest.mark.parametrize("study", STUDIES)
def test_every_row_of_a_study_differs_from_the_others(studies, study):
    found = studies[study]
    assert len({(row.params, row.share) for row in found}) == len(found)
    later = [params for row in found for params in row.further.values()]
    assert len(set(later)) == len(later)
    assert len(found) + len(later) > 2
    names = [name for row in found for name in row.names]
    assert len(set(names)) == len(names) == len(found) + len(later)


@pytest.mark.parametrize("study", STUDIES)
def test_variants_of_a_row_can_share_its_base_networks(studies, study):
    for row in studies[study]:
        for params in row.further.values():
            assert (params.normalize, params.fit) == (row.params.normalize, row.params.fit)
        assert len({params.stacking.folds for params in row.further.values()}) <= 1


def test_a_part_left_out_is_all_that_a_row_changes(studies):
    residual = {row.name.partition(": ")[2]: row.params for row in studies["residual"]}
    assert residual["all"].augment.time_warp > 0
    assert residual["no time warp"] == changed(residual["all"], augment={"time_warp": 0})
    assert not residual["no augmentation"].augment.any()
    assert residual["no augmentation"].train == residual["all"].train
