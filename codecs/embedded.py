"""The embedded codec: every level says more exactly where the coefficients of a linear transform are; see `layered`.

A network restores the picture of what is known of them, whichever level that is of.
"""

from ..bitstream.layer_coder import LayerCoder
from ..bitstream.tree_context import TreeContext
from ..bitstream.tree_layers import TreeLayerCoder
from ..models.zoo import Model
from . import embedded_header, embedded_model
from .embedded_engine import EmbeddedEngine
from .engine import Engine
from .layered import LayeredCodec


class Embedded(LayeredCodec):
    """See the module."""

    id = "embedded"
    number = embedded_header.NUMBER
    header = embedded_header

    def _entropy_model(self, model: Model) -> TreeContext:
        return embedded_model.load(model).context

    def _coder(self, model: Model, height: int, width: int) -> LayerCoder:
        return TreeLayerCoder(embedded_model.load(model).context, height, width)

    def _engine(self, model: Model, backend: str, threads: int | None) -> Engine:
        return EmbeddedEngine(model, backend, threads)
