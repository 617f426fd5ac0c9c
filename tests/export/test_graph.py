"""Graphs are valid, small, and no larger than a file can be."""

import numpy as np
import onnx
import pytest

from phonemes.errors import InputError
from phonemes.export import graph as module
from phonemes.export.graph import Graph, Value

ENTRY = Value("x", np.float32, ("N",))


def test_constants_that_are_equal_are_stored_once():
    graph = Graph()
    value = "x"
    for constant in (np.float32(2), np.float32(2), np.array([2], np.float32), np.float32(3)):
        value = graph("Mul", value, constant)
    model = graph.model([ENTRY], [Value(value, np.float32, ("N",))])
    shapes = [tuple(each.dims) for each in model.graph.initializer]
    assert shapes == [(), (1,), ()]


def test_constants_keep_their_values_whatever_their_layout():
    graph = Graph()
    table = np.arange(6, dtype=np.float32).reshape(2, 3).T
    graph("MatMul", "x", table, name="y")
    model = graph.model([Value("x", np.float32, ("N", 3))], [Value("y", np.float32, ("N", 2))])
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), table)


def test_a_graph_that_is_not_valid_is_no_model():
    graph = Graph()
    graph("Add", "x", np.float64(1), name="y")  # of another type
    with pytest.raises(onnx.shape_inference.InferenceError):
        graph.model([ENTRY], [Value("y", np.float32, ("N",))])


def test_constants_of_more_than_a_file_holds_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    graph = Graph()
    graph("Add", "x", np.zeros(25, np.float32))
    with pytest.raises(InputError, match="one ONNX file holds less than 2"):
        graph("Add", "x", np.ones(1, np.float32))
