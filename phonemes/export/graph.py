"""A graph of ONNX, written node by node.

Opset 17 with IR version 8, of June 2022: onnxruntime runs both since its version 1.12.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from phonemes.errors import InputError

OPSET, IR = 17, 8
MOST_BYTES = 2**31 - 2**20  # of constants: no protobuf message reaches 2 GiB


class Value(NamedTuple):
    """An input or output of a graph."""

    name: str
    dtype: type[np.generic]
    axes: tuple[str | int, ...]  # names of free sizes, and fixed sizes

    def proto(self) -> onnx.ValueInfoProto:
        """Return it as ONNX has it."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        return helper.make_tensor_value_info(self.name, kind, self.axes)


class Graph:
    """The nodes and constants written so far. Values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple, onnx.TensorProto] = {}
        self._bytes = 0  # of the constants

    def __call__(
        self, operator: str, *inputs: str | NDArray | np.generic, name: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output and return the output's name.

        Args:
            operator: of ONNX, as "MatMul".
            inputs: names, or arrays, which become constants.
            name: of the output, where it matters.
            attributes: of the node.

        Raises:
            InputError: the constants are too large for one file.
        """
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = name or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return output

    def model(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> onnx.ModelProto:
        """Return the graph as a model without metadata."""
        ends = [value.proto() for value in inputs], [value.proto() for value in outputs]
        constants = [*self._constants.values()]
        graph = helper.make_graph(self._nodes, "phonemes", ends[0], ends[1], constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _constant(self, value: NDArray | np.generic) -> str:
        """Return the name of a constant; equal ones are stored once."""
        array = np.ascontiguousarray(value).reshape(np.shape(value))  # which makes (1,) of ()
        key = (array.dtype.str, array.shape, hashlib.blake2b(array.data).digest())
        if key not in self._constants:
            self._bytes += array.nbytes
            require_room(self._bytes)
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return self._constants[key].name


def require_room(count: int) -> None:
    """Refuse constants of `count` bytes where a file cannot hold as many.

    Raises:
        InputError: says how many they are.
    """
    if count > MOST_BYTES:
        raise InputError(
            f"the model cannot be exported: its constants take {count / 2**30:.1f} GiB or more, "
            "and one ONNX file holds less than 2; train with narrower model.hidden, or fewer "
            "networks, or a smaller features.fft"
        )
