"""`keras.ops`, typed as anything, and what it lacks.

Its functions carry no annotations; what a type checker infers from whichever backend it reads first is wrong.
"""

from collections.abc import Generator
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
