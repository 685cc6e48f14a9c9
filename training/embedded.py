"""The trainable embedded codec: a fixed analysis and fixed trees, and the synthesis of what their cells tell."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..bitstream.code_trees import CELLS, MAX_DEPTH, ROOT, CodeTrees
from ..codecs.cells import CellTables
from ..models import embedded
from ..models.embedded import STRIDE
from ..models.keras_ops import no_gradients, ops
from .config import EmbeddedConfig
from .data import Pixels, blocks_of
from .losses import ms_ssim_of_each, one_colour_each
from .trees import grow

_BLOCKS = 150_000
_SAMPLE_CROPS = 64
_STATISTICS = ("thresholds", "means", "deviations")

Floats = npt.NDArray[np.float32]


def build_codec(config: EmbeddedConfig) -> "EmbeddedCodec":
    """A codec with freshly initialised weights, built for its input shape."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    codec = EmbeddedCodec(config)
    codec.built = True
    return codec


class EmbeddedCodec(keras.Model):
    """Analysis, trees and synthesis.

    Coefficients are scaled to unit variance. Only the synthesis is trained.

    Attributes:
        analysis: linear, not trained.
        synthesis: see `models.embedded.synthesis`.
    """

    def __init__(self, config: EmbeddedConfig, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self._config = config
        self.analysis = embedded.analysis(config.architecture)
        self.analysis.trainable = False
        self.synthesis = embedded.synthesis(config.architecture)
        count = config.architecture.coefficients
        self._plan = self._fixed("plan", config.levels, config.codes)
        self._cell_tables = {name: self._fixed(name, count, CELLS) for name in _STATISTICS}
        self._scales = self._fixed("scales", 2, config.levels)
        self._trackers = {name: keras.metrics.Mean(name) for name in ("score", "mse", "msssim")}

    def _fixed(self, name: str, *shape: int) -> Any:
        return self.add_weight(shape=shape, initializer="ones", trainable=False, name=name)

    @property
    def tables(self) -> CellTables:
        """The trees and their cells."""
        plan = np.rint(ops.convert_to_numpy(self._plan)).astype(np.int64)
        trees = CodeTrees(self._config.architecture.coefficients, plan)
        return CellTables(trees, *(ops.convert_to_numpy(self._cell_tables[name]) for name in _STATISTICS))

    def begin(self, packed: Pixels) -> None:
        """Starts as a KLT of the crops, with trees grown for its coefficients, and measures what every level loses then."""
        blocks = blocks_of(packed, STRIDE, _BLOCKS).reshape(-1, STRIDE**2 * embedded.COLOURS)
        centred = blocks.astype(np.float32) / 255.0 - 0.5
        basis = _karhunen_loeve(centred)[: self._config.architecture.coefficients]
        samples = centred @ basis.T
        scale = samples.std(axis=0)
        side = (STRIDE, STRIDE, embedded.COLOURS)
        kernel = (basis / scale[:, None]).reshape(-1, *side).transpose(1, 2, 3, 0)
        self.analysis.get_layer("basis").set_weights([kernel])
        self.synthesis.get_layer("basis").set_weights([(basis * scale[:, None])[None, None]])
        weights = np.square(255.0 * scale, dtype=np.float64)
        shares = _shares(np.square(samples[:, 1:], dtype=np.float64).sum(axis=1), self._config)
        self._adopt(grow(samples / scale, weights, shares, self._config.prices, self._config.codes))
        self._scales.assign(self._errors_of_levels(packed[:: max(1, len(packed) // _SAMPLE_CROPS)]))

    def _adopt(self, grown: CellTables) -> None:
        self._plan.assign(grown.trees.plan.astype(np.float32))
        for name in _STATISTICS:
            self._cell_tables[name].assign(getattr(grown, name))

    def _errors_of_levels(self, crops: Pixels) -> Floats:
        """Mean squared error (0..255) and one minus MS-SSIM of every level, (2, levels)."""
        found = np.empty((2, self._config.levels), np.float32)
        with no_gradients():
            for level in range(self._config.levels):
                parts = []
                for some in np.array_split(crops, max(1, len(crops) // 4)):
                    errors = self._errors(some, self.restore(some, np.full(len(some), level)), np.zeros(len(some), int))
                    parts.append(np.stack([ops.convert_to_numpy(error) for error in errors]))
                found[:, level] = np.concatenate(parts, axis=1).mean(axis=1)
        return found

    def cells(self, pixels: Any, levels: Any) -> Any:
        """The cells of every coefficient.

        Args:
            pixels: 0..255, (n, h, w, 3), sides multiples of 16.
            levels: the last level that is known of each picture, integers (n,).

        Returns:
            int32 (n, h/16, w/16, coefficients).
        """
        values = self.analysis(ops.cast(pixels, "float32") / 255.0 - 0.5)
        depths = self._depths(levels)[:, None, None, :]
        cells = ops.full_like(ops.cast(values, "int32"), ROOT)
        for depth in range(MAX_DEPTH):
            above = ops.cast(values > self._look_up("thresholds", cells), "int32")
            cells = ops.where(depth < depths, 2 * cells + above, cells)
        return cells

    def _depths(self, levels: Any) -> Any:
        """Codes about each coefficient up to each level, int32 (n, coefficients)."""
        about = ops.one_hot(ops.cast(self._plan, "int32"), self._config.architecture.coefficients)
        depths = ops.cumsum(ops.sum(about, axis=1), axis=0)
        return ops.cast(ops.take(depths, ops.cast(levels, "int32"), axis=0), "int32")

    def _look_up(self, name: str, cells: Any) -> Any:
        offsets = CELLS * np.arange(self._config.architecture.coefficients, dtype=np.int32)
        return ops.take(ops.reshape(self._cell_tables[name], (-1,)), cells + offsets)

    def restore(self, pixels: Any, levels: Any) -> Any:
        """Pictures at some levels, not clipped; see `cells`.

        Returns:
            (n, h, w, 3), samples 0..1 less one half.
        """
        cells = self.cells(pixels, levels)
        return ops.cast(self.synthesis([self._look_up("means", cells), self._look_up("deviations", cells)]), "float32")

    def call(self, inputs: Any) -> Any:
        """The pictures of a batch.

        Args:
            inputs: pixels 0..255 (n, h, w, 3), levels (n,), and the colours to compare (n,), see `losses.colours_in_turn`.
        """
        return self.restore(inputs[0], inputs[1])

    def _errors(self, pixels: Any, restored: Any, colours: Any) -> tuple[Any, Any]:
        """Mean squared error (0..255) and one minus MS-SSIM of each picture."""
        target = ops.cast(ops.convert_to_tensor(pixels), "float32") / 255.0
        samples = restored + 0.5
        mse = ops.mean(ops.square(255.0 * (samples - target)), axis=(1, 2, 3))
        similarity = ms_ssim_of_each(one_colour_each(target, colours), one_colour_each(samples, colours))
        return mse, 1.0 - similarity

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Both errors, each relative to what its level had at the start."""
        del y, sample_weight, training
        pixels, levels, colours = (ops.convert_to_tensor(part) for part in x)
        mse, dissimilarity = self._errors(pixels, y_pred, colours)
        scales = ops.take(self._scales, ops.cast(levels, "int32"), axis=1)
        mse, dissimilarity = ops.mean(mse / scales[0]), ops.mean(dissimilarity / scales[1])
        loss = (1.0 - self._config.msssim_share) * mse + self._config.msssim_share * dissimilarity
        for tracker, value in zip(self._trackers.values(), (loss, mse, dissimilarity), strict=True):
            tracker.update_state(value)
        return loss

    @property
    def metrics(self) -> list[Any]:
        """Means over the last batch: `train_on_batch` resets them."""
        return list(self._trackers.values())


def _karhunen_loeve(centred: Floats) -> Floats:
    """The basis (components, samples) of blocks less mid-grey (n, samples), the strongest first."""
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    basis: Floats = vectors[:, ::-1].T.astype(np.float32)
    return basis


def _shares(energies: npt.NDArray[np.float64], config: EmbeddedConfig) -> npt.NDArray[np.float64]:
    """What errors count in blocks of so much energy beside their flat part (n,): less in busy ones, as in MS-SSIM."""
    variances = 255.0**2 * energies / (STRIDE**2 * embedded.COLOURS)
    shares = (config.masking_floor + variances) ** -config.masking
    return np.asarray(shares / shares.mean())


def levels_in_turn(step: int, count: int, levels: int) -> Sequence[int]:
    """The level that each of `count` pictures has at a step: spread evenly, and all of them take turns."""
    return [(step * 7 + picture * levels // count) % levels for picture in range(count)]
