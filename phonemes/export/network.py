"""Networks, and what is made of several of them, as nodes of a graph.

They do what `inference.stacked` does in float32. The first product of a network is a
convolution over frames, so that no window is ever stored.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from phonemes.errors import InputError
from phonemes.export.graph import Graph
from phonemes.export.utterances import ZERO, Utterances, masked, numbered, size, with_context
from phonemes.inference.folding import ProductWithReLU, folded
from phonemes.inference.stacked import PADDING
from phonemes.model.architecture import Architecture, Classifier
from phonemes.model.layers import ContextPooling, MultiTargetHead, Residual
from phonemes.model.store import Model, posterior_bands


def log_posteriors(graph: Graph, given: Utterances, padding: str, model: Model) -> Utterances:
    """Return the log posteriors of normalized frames, (B, T, P).

    Args:
        graph: to write to.
        given: normalized frames (B, T, C).
        padding: of windows, zero or edge.
        model: what labels frames.

    Raises:
        InputError: there is a layer that cannot be exported.
    """
    found = mean_posteriors(graph, given, padding, model.base)
    if not model.stacked:
        return found
    roots = graph("Exp", graph("Mul", found.frames, np.float32(0.5)))
    classes = model.base[0].architecture.classes
    roots = graph("Pad", roots, np.array([0, 0, 0, 0, 0, posterior_bands(classes) - classes]))
    return mean_posteriors(graph, masked(graph, roots, given), PADDING, model.stacked)


def mean_posteriors(
    graph: Graph, given: Utterances, padding: str, classifiers: Sequence[Classifier]
) -> Utterances:
    """Return the mean of the networks' log posteriors, as log posteriors (B, T, P)."""
    frames = with_context(graph, given, classifiers[0].architecture.frames // 2, padding)
    frames = graph("Transpose", frames, perm=[0, 2, 1])  # (B, C, T + 2k)
    every = [posteriors(graph, frames, given, each) for each in classifiers]
    mean = every[0] if len(every) == 1 else graph("LogSoftmax", graph("Mean", *every))
    return masked(graph, mean, given)


def posteriors(graph: Graph, frames: str, given: Utterances, classifier: Classifier) -> str:
    """Return the log posteriors of one network, (B, T, P).

    Args:
        graph: to write to.
        frames: (B, C, T + 2k) normalized, with context.
        given: the utterances that they are of.
        classifier: the network.
    """
    architecture, layers = classifier.architecture, [*classifier.network]
    pooling = layers.pop(0) if isinstance(layers[0], ContextPooling) else None
    first, *layers = folded(nn.Sequential(*layers), torch.float32)
    rows = windows_product(graph, frames, pooling, first, architecture.bands)  # (B T, H)
    for layer in layers:
        rows = applied(graph, layer, rows)
    targets, classes = architecture.targets, architecture.classes
    sizes = graph("Shape", given.frames, end=2)  # B and T
    shape = graph("Concat", sizes, np.array([targets, classes][targets == 1 :]), axis=0)
    found = graph("LogSoftmax", graph("Reshape", rows, shape))
    return averaged(graph, found, given, architecture) if targets > 1 else found


def windows_product(
    graph: Graph, frames: str, pooling: ContextPooling | None, layer: nn.Module, bands: int
) -> str:
    """Return what pooling and the first layer make of every window, (B T, H).

    The file has the weights of pooled windows; onnxruntime makes from them, when it loads the
    model, those of whole windows.

    Args:
        graph: to write to.
        frames: (B, C, T + 2k).
        pooling: of windows, or None.
        layer: a product, with or without ReLU.
        bands: C.
    """
    linear = layer.linear if isinstance(layer, ProductWithReLU) else layer
    if not isinstance(linear, nn.Linear):
        raise _unknown(layer)
    weight = linear.weight.view(linear.out_features, -1, bands).transpose(1, 2)  # (H, C, S)
    kernel: str | NDArray = array(weight)
    if pooling:
        kernel = graph("MatMul", kernel, array(pooling.averaging))  # (H, C, W)
    biases = [] if linear.bias is None else [array(linear.bias)]
    found = graph("Conv", frames, kernel, *biases)  # (B, H, T)
    if linear is not layer:
        found = graph("Relu", found)
    found = graph("Transpose", found, perm=[0, 2, 1])
    return graph("Reshape", found, np.array([-1, linear.out_features]))


def applied(graph: Graph, layer: nn.Module, rows: str) -> str:
    """Return what a layer makes of rows, (B T, H).

    Raises:
        InputError: it is none of those that the architecture has.
    """
    match layer:
        case nn.Linear():
            biases = [] if layer.bias is None else [array(layer.bias)]
            return graph("Gemm", rows, array(layer.weight), *biases, transB=1)
        case ProductWithReLU():
            return graph("Relu", applied(graph, layer.linear, rows))
        case Residual():
            inner = rows
            for each in layer.layers:
                inner = applied(graph, each, inner)
            return graph("Add", rows, inner)
        case MultiTargetHead():  # (B T, D P) is reshaped with B and T in the end
            return rows
        case nn.BatchNorm1d():
            scale, shift = _affine(layer)
            return graph("Add", graph("Mul", rows, scale), shift)
        case nn.LayerNorm():
            weights = array(layer.weight), array(layer.bias)
            return graph("LayerNormalization", rows, *weights, epsilon=layer.eps)
    return activated(graph, layer, rows)


def activated(graph: Graph, layer: nn.Module, rows: str) -> str:
    """Return what an activation makes of values of any shape; raises as `applied`."""
    match layer:
        case nn.ReLU():
            return graph("Relu", rows)
        case nn.GELU(approximate="none"):
            below = graph("Erf", graph("Div", rows, np.sqrt(np.float32(2))))
            half = graph("Mul", rows, np.float32(0.5))
            return graph("Mul", half, graph("Add", below, np.float32(1)))
        case nn.SiLU():
            return graph("Mul", rows, graph("Sigmoid", rows))
        case nn.LeakyReLU():
            return graph("LeakyRelu", rows, alpha=layer.negative_slope)
        case nn.ELU():
            return graph("Elu", rows, alpha=layer.alpha)
        case nn.Tanh():
            return graph("Tanh", rows)
    raise _unknown(layer)


def averaged(graph: Graph, found: str, given: Utterances, architecture: Architecture) -> str:
    """Return the mean of the predictions that each frame has, as log posteriors (B, T, P).

    As `inference.overlap`. Prediction d of window t, 0 to 2n, is that of frame t + d - n. With
    the windows of each d in a row of T + D values, a row of a value less moves each row by one
    against the one before: then the predictions of a frame are in one column.

    Args:
        graph: to write to.
        found: (B, T, D, P) log posteriors of the windows.
        given: the utterances that they are of.
        architecture: of the network.
    """
    n, targets, classes = architecture.target_context, architecture.targets, architecture.classes
    inside = graph("Unsqueeze", given.valid, np.array([3]))
    found = graph("Transpose", graph("Where", inside, found, np.float32(0)), perm=[0, 2, 1, 3])
    rows = graph("Pad", found, np.array([0, 0, 0, 0, 0, 0, targets, 0]))  # (B, D, T + D, P)
    rows = graph("Reshape", rows, np.array([0, -1, classes]))
    rows = graph("Slice", rows, *_span(0, -targets))
    rows = graph("Reshape", rows, np.array([0, targets, -1, classes]))  # (B, D, T + D - 1, P)
    total = graph("Slice", graph("ReduceSum", rows, np.array([1]), keepdims=0), *_span(n, -n))
    return graph("LogSoftmax", graph("Div", total, predictions(graph, given, n)))


def predictions(graph: Graph, given: Utterances, n: int) -> str:
    """Return how many windows predict each frame, (B, T, 1) float32; 1 or more beyond the last."""
    before = graph("Min", numbered(graph, size(graph, given.frames)), np.int64(n))
    last = graph("Sub", graph("Unsqueeze", given.counts, np.array([1])), np.int64(1))
    after = graph("Sub", last, numbered(graph, size(graph, given.frames)))
    after = graph("Max", graph("Min", after, np.int64(n)), ZERO)
    number = graph("Add", graph("Add", before, after), np.int64(1))
    return graph("Unsqueeze", graph("Cast", number, to=TensorProto.FLOAT), np.array([2]))


def _span(start: int, end: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return the inputs of Slice for [start, end) of the second axis."""
    return np.array([start]), np.array([end]), np.array([1])


def _affine(layer: nn.BatchNorm1d) -> tuple[NDArray, NDArray]:
    """Return the scale and the shift of batch normalization in evaluation."""
    state = {name: value.double() for name, value in layer.state_dict().items()}
    scale = state["weight"] / (state["running_var"] + layer.eps).sqrt()
    return array(scale), array(state["bias"] - state["running_mean"] * scale)


def array(values: Tensor) -> NDArray[np.float32]:
    """Return a parameter in float32."""
    return values.detach().cpu().float().numpy()


def _unknown(layer: nn.Module) -> InputError:
    return InputError(f"the model cannot be exported: no operator of ONNX is known for {layer}")
