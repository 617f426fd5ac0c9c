"""An exported model says what it takes and gives, and takes utterances of any length."""

import json
from dataclasses import replace

import numpy as np
import pytest
from export.toys import (
    BANDS,
    CLASSES,
    FEATURES,
    NAMES,
    STRIDE,
    UTTERANCE,
    WIDTH,
    base,
    bundle,
    frames,
    session,
    sounds,
    stacked,
)

from phonemes.errors import InputError
from phonemes.export.check import run
from phonemes.export.model import onnx_model, outline
from phonemes.features.log_mel import label_times


def metadata(given):
    return {each.key: json.loads(each.value) for each in onnx_model(given).metadata_props}


def shapes(values):
    return {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in values
    }


# What it says


def test_samples_go_in_and_log_posteriors_come_out():
    graph = onnx_model(bundle()).graph
    assert shapes(graph.input) == {"samples": ["B", "S"], "lengths": ["B"]}
    assert shapes(graph.output) == {"log_posteriors": ["B", "T", CLASSES], "frame_counts": ["B"]}


def test_a_model_of_given_frames_takes_frames():
    graph = onnx_model(bundle(features=None)).graph
    assert shapes(graph.input) == {"frames": ["B", "F", BANDS], "lengths": ["B"]}


def test_onnxruntime_of_years_ago_knows_its_version_and_all_its_operators():
    model = onnx_model(bundle(base(norm="layer", activation="gelu"), stacked=[stacked()]))
    assert (model.ir_version, [(each.domain, each.version) for each in model.opset_import]) == (
        8, [("", 17)]
    )  # fmt: skip
    assert {node.domain for node in model.graph.node} == {""}


def test_the_metadata_hold_what_its_user_must_know():
    assert metadata(bundle(padding="edge")) == {
        "phonemes": [*NAMES],
        "spelling": {"text": True, "phonemes": ["[SIL]", *NAMES[1:]]},
        "training_frames": [1, 2, 1, 0, 1],
        "input": "samples",
        "sample_rate": 8000,
        "stride": 0.004,
        "frame_width": 0.008,
        "start": 0.0,
        "bands": BANDS,
        "k": 3,
        "padding": "edge",
        "normalization": UTTERANCE,
        "source": "audio",
        "features": json.loads(json.dumps(FEATURES.__dict__)),
        "facts": {
            "epoch": 3, "dev_accuracy": 0.75, "precision": "bfloat16", "version": "0.1.0"
        },
        "version": metadata(bundle())["version"],
    }  # fmt: skip


def test_what_is_not_known_of_given_frames_is_null():
    found = metadata(bundle(features=None))
    assert found["input"] == "frames"
    for key in ("features", "sample_rate", "stride", "frame_width", "start"):
        assert found[key] is None


@pytest.mark.parametrize("label_at", ["stride", "window"])
def test_the_label_of_a_frame_is_in_the_middle_of_its_time(label_at):
    features = replace(FEATURES, label_at=label_at)
    found = metadata(bundle(features=features))
    middles = found["start"] + (np.arange(9) + 0.5) * found["stride"]
    np.testing.assert_allclose(middles, label_times(9, features), rtol=1e-12)


def test_the_project_and_the_lack_of_smoothing_are_named():
    model = onnx_model(bundle())
    assert model.producer_name == "phonemes"
    assert model.doc_string == (
        "Log posteriors of 5 phonemes for every frame of samples; not smoothed over time."
    )
    assert outline(bundle().purpose) == (
        "from samples at 8,000 Hz to log posteriors of 5 phonemes every 4 ms, "
        "not smoothed over time"
    )
    assert outline(bundle(features=None, over="speaker").purpose) == (
        "from frames of 6 bands, not normalized, to log posteriors of 5 phonemes for each, not "
        "smoothed over time\nan utterance is normalized as if it were all that its speaker said"
    )


def test_the_same_model_is_the_same_bytes():
    first, second = (
        onnx_model(bundle(base(target_context=1))).SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


def test_weights_of_pooled_context_are_stored_pooled():
    wide, pooled = (
        len(onnx_model(bundle(base(hidden=(500, 2), **choices))).SerializeToString())
        for choices in ({}, {"pooling": (3,)})
    )
    assert wide - pooled == pytest.approx(500 * 4 * BANDS * 4, abs=500)  # 3 of 7 frames are left


# What it takes


@pytest.mark.parametrize("padding", ["zero", "edge"])
@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e30])
def test_what_lies_beyond_an_utterance_reaches_nothing(features, padding, junk):
    model = bundle(base(target_context=2), stacked=[stacked()], features=features, padding=padding)
    opened, utterances = session(model), (sounds if features else frames)(9, 4, 1)
    sizes = [len(each) for each in utterances]
    batch = np.full((3, sizes[0] + 100, *utterances[0].shape[1:]), junk, np.float32)
    for row, each in zip(batch, utterances, strict=True):
        row[: len(each)] = each
    entry = opened.get_inputs()[0].name
    found, counts = opened.run(None, {entry: batch, "lengths": sizes})
    assert counts.tolist() == [9, 4, 1]
    assert found.shape == (3, 9, CLASSES)
    for row, each in zip(found, utterances, strict=True):
        (wanted,) = run(opened, [each])
        np.testing.assert_allclose(row[: len(wanted)], wanted, atol=1e-5)
        assert not row[len(wanted) :].any()


@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
def test_lengths_outside_the_array_mean_all_or_nothing_of_it(features):
    opened = session(bundle(features=features))
    (utterance,) = (sounds if features else frames)(6)
    entry = opened.get_inputs()[0].name
    batch = np.stack([utterance] * 3)
    found, counts = opened.run(None, {entry: batch, "lengths": [len(utterance), 10**12, -5]})
    assert counts.tolist() == [6, 6, 0]
    np.testing.assert_array_equal(found[0], found[1])
    assert not found[2].any()


@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
@pytest.mark.parametrize("size", [0, WIDTH - 1])
def test_without_a_whole_frame_there_are_no_posteriors(features, size):
    opened = session(bundle(base(target_context=1), stacked=[stacked()], features=features))
    empty = np.ones((2, size) if features else (2, 0, BANDS), np.float32)
    found, counts = opened.run(None, {opened.get_inputs()[0].name: empty, "lengths": [size, 0]})
    assert counts.tolist() == [0, 0]
    assert found.shape == (2, 0, CLASSES)


def test_samples_of_a_frame_that_is_not_whole_change_nothing():
    opened = session(bundle())
    (long,) = sounds(8, remainder=STRIDE - 1)
    whole, more = run(opened, [long[: 1 - STRIDE], long])
    np.testing.assert_allclose(whole, more, atol=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features": {"bands": BANDS}}, "features.sample_rate is missing"),
        ({"features": {**FEATURES.__dict__, "floor": 0}}, "features.floor is 0; expected a number"),
        ({"normalization": {"over": "corpus"}}, "normalize.variance is missing"),
        ({"padding": "mirror"}, "data.padding is 'mirror'; expected one of zero, edge"),
    ],
)
def test_what_a_model_was_made_for_must_be_known(changes, reason):
    made = bundle()
    with pytest.raises(InputError) as refused:
        onnx_model(made._replace(purpose=made.purpose._replace(**changes)))
    assert str(refused.value).startswith(f"the model cannot be exported: its {reason}")
