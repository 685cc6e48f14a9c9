"""What runs the networks of a residual-GRU model: two recurrent networks, or the original's one graph."""

from ..errors import ModelError
from ..models import runtime
from ..models.zoo import Model
from .engine import Engine
from .recurrence import Recurrence
from .unrolled import Unrolled

RECURRENT = "residual_gru"
GRAPH = "residual_gru_graph"
"""Families of models, as their cards name them."""


def load(model: Model, backend: str, threads: int | None) -> Engine:
    """The engine of a model.

    Args:
        model: from the zoo.
        backend: inference runtime, see `models.runtime`; a graph runs in TensorFlow, whatever this says.
        threads: threads of the network, None for all processors.

    Raises:
        ModelError: the model's files are missing or damaged, or its card names no family that is known here.
        BackendError: the inference runtime is missing.
    """
    family = model.card["architecture"].get("family")
    if family == RECURRENT:
        return Recurrence(model, backend, threads)
    if family == GRAPH:
        return Unrolled(runtime.load_unrolled(model, threads=threads))
    raise ModelError(f"{model.id} is of the family {family!r}, which residual-gru does not know: upgrade nicodec")
