"""The residual-GRU codec: recurrent networks, run again and again on what is left of the picture; see `layered`.

Its codes can go into the code files of the original, and come from them.
"""

from typing import BinaryIO

from ..bitstream.code_context import CodeContext
from ..bitstream.code_layers import CodeLayerCoder
from ..bitstream.container import Container
from ..bitstream.layer_coder import LayerCoder
from ..errors import RequestError
from ..models.zoo import Model
from . import codes_npz, gru_engine, gru_header, gru_model
from .engine import Engine
from .layered import LayeredCodec
from .samples import STRIDE


class ResidualGru(LayeredCodec):
    """See the module."""

    id = "residual-gru"
    number = gru_header.NUMBER
    header = gru_header

    def _entropy_model(self, model: Model) -> CodeContext:
        return gru_model.load(model).context

    def _coder(self, model: Model, height: int, width: int) -> LayerCoder:
        return CodeLayerCoder(gru_model.load(model).context, height, width)

    def _engine(self, model: Model, backend: str, threads: int | None) -> Engine:
        return gru_engine.load(model, backend, threads)

    def to_code_file(self, container: Container, model: Model) -> bytes:
        """The codes of a whole file as the original's code file; see `codes_npz`.

        Raises:
            FormatError: a segment is missing or damaged.
        """
        return codes_npz.write(self.codes(container, model))

    def from_code_file(self, data: bytes | BinaryIO, model: Model, max_pixels: int) -> Container:
        """The file of a code file; the picture has its padded size, for the code file does not say another.

        Raises:
            FormatError: the data is no code file.
            RequestError: the model has fewer levels.
            LimitError: the picture is larger than accepted.
        """
        codes = codes_npz.read(data, max_pixels)
        context = gru_model.load(model).context
        if len(codes) > context.layers or codes.shape[1] != context.channels:
            raise RequestError(f"{model.id} has other codes than the code file: choose another model")
        return self._packed(codes, model, width=codes.shape[3] * STRIDE, height=codes.shape[2] * STRIDE)
