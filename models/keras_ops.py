"""`keras.ops`, typed as anything, and what it lacks.

Its functions carry no annotations; what a type checker infers from whichever backend it reads first is wrong.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import keras

ops: Any = keras.ops


@contextmanager
def no_gradients() -> Generator[None]:
    """Tells PyTorch not to keep every intermediate result of a block for gradients; other backends never do."""
    if keras.backend.backend() != "torch":
        yield
        return
    torch: Any = import_module("torch")
    with torch.no_grad():
        yield


def on_host(function: Callable[..., Any], arguments: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Calls a function of NumPy arrays in the midst of a computation. No gradient passes.

    Args:
        function: from arrays to one array of float32.
        arguments: tensors.
        shape: of the result.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tensorflow: Any = import_module("tensorflow")
        return tensorflow.ensure_shape(tensorflow.numpy_function(function, arguments, tensorflow.float32), shape)
    if backend == "jax":
        jax: Any = import_module("jax")
        return jax.pure_callback(function, jax.ShapeDtypeStruct(shape, "float32"), *arguments)
    return ops.convert_to_tensor(function(*map(ops.convert_to_numpy, arguments)))
