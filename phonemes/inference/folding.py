"""A network for inference: what is fixed and linear is folded into the products."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from phonemes.model.layers import ContextPooling, Residual


class ProductWithReLU(nn.Module):
    """A product, its bias and ReLU in one pass over memory."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, values: Tensor) -> Tensor:
        """Return what enters the next layer."""
        return torch._addmm_activation(self.linear.bias, values, self.linear.weight.t())


def folded(network: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    """Return a network for inference, the same function, with products in `dtype`.

    Dropout is gone; context pooling before a product and batch normalization after it are
    folded into it.
    """
    network.eval()
    layers: list[nn.Module] = []
    for layer in network:
        product = layers[-1] if layers and isinstance(layers[-1], nn.Linear) else None
        if isinstance(layer, nn.Linear) and layers and isinstance(layers[-1], ContextPooling):
            layers[-1] = layers[-1].folded_into(layer)
        elif isinstance(layer, nn.BatchNorm1d) and product:
            layers[-1] = fuse_linear_bn_eval(product, layer)
        elif isinstance(layer, nn.ReLU) and product and product.bias is not None:
            layers[-1] = ProductWithReLU(product)
        elif isinstance(layer, Residual):
            layers.append(Residual(*folded(layer.layers, dtype)))
        elif not isinstance(layer, nn.Dropout):
            layers.append(layer)
    return nn.Sequential(
        *(
            copy.deepcopy(layer).to(dtype)
            if isinstance(layer, nn.Linear | ProductWithReLU)
            else layer
            for layer in layers
        )
    )
