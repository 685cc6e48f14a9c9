"""Gradients on whichever backend Keras runs on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Differentiated = tuple[float, list[npt.NDArray[Any]]]


def differentiate(function: Callable[..., Any], *arrays: npt.NDArray[Any]) -> Differentiated:
    """Calls a function of arrays; returns its scalar value and the gradient with respect to each array."""
    keras: Any = pytest.importorskip("keras")
    by_backend = {"tensorflow": _with_tensorflow, "jax": _with_jax, "torch": _with_torch}
    return by_backend[keras.backend.backend()](function, *arrays)


def _with_tensorflow(function: Callable[..., Any], *arrays: npt.NDArray[Any]) -> Differentiated:
    tf: Any = pytest.importorskip("tensorflow")
    variables = [tf.Variable(array) for array in arrays]
    with tf.GradientTape() as tape:
        value = function(*variables)
    return float(value), [np.asarray(gradient) for gradient in tape.gradient(value, variables)]


def _with_jax(function: Callable[..., Any], *arrays: npt.NDArray[Any]) -> Differentiated:
    jax: Any = pytest.importorskip("jax")
    value, gradients = jax.value_and_grad(function, argnums=tuple(range(len(arrays))))(*arrays)
    return float(value), [np.asarray(gradient) for gradient in gradients]


def _with_torch(function: Callable[..., Any], *arrays: npt.NDArray[Any]) -> Differentiated:
    torch: Any = pytest.importorskip("torch")
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = function(*tensors)
    return float(value.detach()), [gradient.numpy() for gradient in torch.autograd.grad(value, tensors)]
