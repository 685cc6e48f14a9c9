"""A differentiable stand-in for JPEG, to train what goes before and after a standard image codec.

Source: O. G. Guleryuz, P. A. Chou, H. Hoppe, D. Tang, R. Du, P. Davidson, S. Fanello, "Sandwiched Image Compression:
Wrapping Neural Networks Around a Standard Codec", ICIP 2021, section 3; arguments and conventions follow the layer of the
same name that the authors released, so that training code carries over.

Images are float32 (n, h, w, c) with samples from 0 to `image_max`; n, h, w and c must be known.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from ..errors import RequestError
from .colours import FROM_YCC, TO_YCC
from .keras_ops import on_host, ops
from .libjpeg import jpeg_bits
from .resampling import resize
from .step_tables import FLAT, Tables

Rounding = Callable[[Any], Any]

_PLANES = ("y", "u", "v")
_OFFSET = 128.0
"""Subtracted before the cosine transform, and what a colour difference of zero is stored as."""

_TO_YUV = TO_YCC.T.astype(np.float32)
_TO_RGB = FROM_YCC.astype(np.float32)
_NEUTRAL = np.array([0.0, _OFFSET, _OFFSET], np.float32)

_NEGATIVE_SLOPE = 0.01
"""Of the exponential unit that keeps a trained step from becoming negative."""

_LEAST_STEP = 0.01
"""Where that unit, and the step, ends without a `min_qstep`."""

_TINY = 1e-12


class JpegProxy:
    """Colour conversion, subsampling, cosine transform and quantisation of JPEG, and all of it back.

    Args:
        downsample_chroma: whether the second and third channel are stored at half the resolution.
        luma_quantization_table: dct_size x dct_size steps of the first channel, in any shape, row by row.
        chroma_quantization_table: of the two others.
        convert_to_yuv: whether to convert RGB to YCbCr and back.
        clip_to_image_max: whether the result is clipped to 0..image_max.
        dct_size: side of a block.
        upsample_method: how colour gets its resolution back, see `resampling.resize`.
        sample_rounding_fn: rounds the samples of the planes before and after coding, and the result: JPEG decoders and
            encoders hold them in bytes. None, the original's way, leaves them as they are.
        downsample_method: how colour loses half of its resolution; the original's is "bilinear", libjpeg's "box".
    """

    def __init__(
        self,
        downsample_chroma: bool,
        luma_quantization_table: npt.ArrayLike,
        chroma_quantization_table: npt.ArrayLike,
        convert_to_yuv: bool,
        clip_to_image_max: bool,
        dct_size: int = 8,
        upsample_method: str = "lanczos3",
        sample_rounding_fn: Rounding | None = None,
        downsample_method: str = "bilinear",
    ) -> None:
        self.downsample_chroma = downsample_chroma
        self.convert_to_yuv = convert_to_yuv
        self.clip_to_image_max = clip_to_image_max
        self.dct_size = dct_size
        self.upsample_method, self.downsample_method = upsample_method, downsample_method
        self._round = sample_rounding_fn or _unchanged
        luma, chroma = (
            np.reshape(np.asarray(table, np.float32), dct_size**2)
            for table in (luma_quantization_table, chroma_quantization_table)
        )
        self._tables = dict(zip(_PLANES, (luma, chroma, chroma), strict=True))

    def __call__(
        self,
        image: Any,
        rounding_fn: Rounding = ops.round,
        image_max: float = 255.0,
        tables: tuple[Any, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Compresses and restores.

        Args:
            image: (n, h, w, 3).
            rounding_fn: rounds coefficients that are divided by the tables.
            image_max: the largest sample.
            tables: steps for this call instead of the tables', of the first channel and of the others, each of a shape
                that goes with (n, rows of blocks, columns of blocks, dct_size**2).

        Returns:
            The restored images; and what `rounding_fn` made of the coefficients of "y", "u" and "v", each (n, rows of
            blocks, columns of blocks, dct_size**2), rows of a block one after the other. Images that are no multiple of
            the blocks are extended symmetrically.

        Raises:
            RequestError: the image has not three channels.
        """
        image = ops.convert_to_tensor(image)
        if len(image.shape) != 4 or image.shape[-1] != 3:
            raise RequestError(f"the proxy takes images of shape (n, h, w, 3), not {tuple(image.shape)}")
        _, height, width, _ = image.shape
        padded = _extended(image, self.dct_size * (2 if self.downsample_chroma else 1))
        luma, chroma = (self._tables["y"], self._tables["u"]) if tables is None else tables
        steps = dict(zip(_PLANES, (luma, chroma, chroma), strict=True))
        coefficients, planes = {}, []
        for name, plane in zip(_PLANES, self.planes(padded), strict=True):
            coefficients[name] = rounding_fn(ops.divide(_forward(self._round(plane), self.dct_size), steps[name]))
            planes.append(self._restored(ops.multiply(coefficients[name], steps[name]), padded))
        restored = ops.concatenate(planes, axis=-1)
        if self.convert_to_yuv:
            restored = self._round(ops.matmul(ops.subtract(restored, _NEUTRAL), _TO_RGB))
        restored = restored[:, :height, :width]
        return ops.clip(restored, 0.0, image_max) if self.clip_to_image_max else restored, coefficients

    def planes(self, image: Any) -> list[Any]:
        """What is coded of images (n, h, w, 3): three planes (n, rows, columns, 1)."""
        colours = ops.add(ops.matmul(image, _TO_YUV), _NEUTRAL) if self.convert_to_yuv else image
        luma, *chroma = (colours[..., k : k + 1] for k in range(3))
        if self.downsample_chroma:
            height, width = image.shape[1:3]
            chroma = [resize(plane, height // 2, width // 2, self.downsample_method) for plane in chroma]
        return [luma, *chroma]

    def _restored(self, coefficients: Any, padded: Any) -> Any:
        """A plane (n, h, w, 1) of coefficients, at the resolution of the padded images."""
        plane = self._round(_inverse(coefficients, self.dct_size))
        height, width = padded.shape[1:3]
        if plane.shape[1:3] == (height, width):
            return plane
        return self._round(resize(plane, height, width, self.upsample_method))


class EncodeDecodeIntra(keras.layers.Layer):
    """What a standard image codec makes of images, and how many bits it needs: a JPEG with one quantisation step.

    Gradients reach the images and the step if `rounding_fn` lets them through. Unlike the original's, samples are rounded
    wherever JPEG holds bytes, and colour changes its resolution as it does in libjpeg, so that distortions are those of
    real files.

    The JPEG rate follows the number of coefficients that are not zero (Z. He, S. K. Mitra, IEEE Trans. Circuits and Systems
    for Video Technology 11(12), 2001): P = sum of log(1 + |c / step|), times a weight that makes it the size of the real
    file of the same images, which libjpeg writes in the midst of the graph. No gradient passes through the weight.
    The Gaussian rate is the entropy at high resolution of every frequency of an image, from its deviation.

    Args:
        rounding_fn: rounds images and coefficients; training needs one that passes gradients straight through.
        use_jpeg_rate_model: which rate.
        qstep_init: the step, or what it is at first.
        train_qstep: whether it is a trainable weight.
        min_qstep: what is added to every step, trained or given, so that it stays above.
        jpeg_clip_to_image_max: whether results are clipped to 0..image_max; not if they are differences.
        convert_to_yuv: whether the codec converts RGB to YCbCr. Without it every channel is coded as gray, which leaves
            the choice of a colour space to what is trained.
        downsample_chroma: whether the second and third channel are coded at half the resolution.
        count_headers: whether the JPEG rate has the size of whole files, or only of what they hold of the coefficients: the
            headers of small crops would make it steeper than that of whole pictures.
        tables: what the step is multiplied by, (2, 8, 8) for luma and chroma, or the first of them for every channel if colours
            are not converted; the products are rounded to the whole steps 1 to 255 that files have. None, the original's
            way, for one step for all, which is not rounded.
    """

    def __init__(
        self,
        rounding_fn: Rounding = ops.round,
        use_jpeg_rate_model: bool = True,
        qstep_init: float = 1.0,
        train_qstep: bool = True,
        min_qstep: float = 0.0,
        jpeg_clip_to_image_max: bool = True,
        convert_to_yuv: bool = False,
        downsample_chroma: bool = False,
        count_headers: bool = True,
        tables: Tables | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.train_qstep, self.min_qstep = train_qstep, min_qstep
        self.use_jpeg_rate_model, self.count_headers = use_jpeg_rate_model, count_headers
        self._rounding, self._shapes = rounding_fn, tables
        self.qstep = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(qstep_init), trainable=train_qstep, name="qstep"
        )
        ones = np.ones(64, np.float32)
        self._jpeg = JpegProxy(
            downsample_chroma,
            ones,
            ones,
            convert_to_yuv,
            jpeg_clip_to_image_max,
            upsample_method="bilinear",
            sample_rounding_fn=rounding_fn,
            downsample_method="box",
        )
        self.built = True

    def get_qstep(self) -> Any:
        """The step that is in force, `min_qstep` included."""
        return self._positive(self.qstep)

    def is_codec_proxy_420(self) -> bool:
        """Whether the second and third channel are coded at half the resolution."""
        return self._jpeg.downsample_chroma

    def call(self, inputs: Any, input_qstep: Any = None, image_max: float = 255.0) -> tuple[Any, Any]:
        """Compresses and restores.

        Args:
            inputs: (n, h, w, c). More than three channels are coded three at a time, fewer together with channels of zero
                that cost nothing.
            input_qstep: a step for this call, if none is trained, or one for each image (n,).
            image_max: the largest sample.

        Returns:
            The restored images, in the shape of the inputs; and the bits of each, (n,).

        Raises:
            RequestError: the inputs have not four axes, or a step is given to a layer that trains one.
        """
        if len(inputs.shape) != 4:
            raise RequestError(f"inputs must have the shape (n, h, w, c), not {tuple(inputs.shape)}")
        if input_qstep is not None and self.train_qstep:
            raise RequestError("this layer trains its step: leave input_qstep out, or build it with train_qstep=False")
        step = (
            self.get_qstep() if input_qstep is None else self._positive(ops.convert_to_tensor(input_qstep, "float32"))
        )
        step = ops.reshape(step, (-1, 1, 1, 1))
        starts = range(0, inputs.shape[-1], 3)
        restored, rates = zip(*(self._code(inputs[..., k : k + 3], step, image_max) for k in starts), strict=True)
        return ops.concatenate(restored, axis=-1), sum(rates[1:], start=rates[0])

    def _positive(self, step: Any) -> Any:
        return ops.maximum(ops.elu(step, alpha=_NEGATIVE_SLOPE) + self.min_qstep, _LEAST_STEP)

    def _code(self, inputs: Any, step: Any, image_max: float) -> tuple[Any, Any]:
        """Codes up to three channels."""
        channels = inputs.shape[-1]
        images = self._rounding(ops.pad(inputs, ((0, 0), (0, 0), (0, 0), (0, 3 - channels))))
        divided: list[Any] = []

        def rounded(c: Any) -> Any:
            divided.append(c)
            return self._rounding(c)

        restored, coefficients = self._jpeg(images, rounded, image_max, self._steps_of(step, image_max))
        # Channels that only fill up to three are not in the file. With colour conversion there is no telling them apart.
        count = len(_PLANES) if self._jpeg.convert_to_yuv else channels
        if self.use_jpeg_rate_model:
            rate = self._jpeg_rate(images, divided[:count], step, image_max)
        else:
            rate = _gaussian_rate([coefficients[name] for name in _PLANES[:count]])
        return restored[..., :channels], rate

    def _steps_of(self, step: Any, image_max: float) -> tuple[Any, Any]:
        """Steps of the first channel and of the others, where images have their own range."""
        if self._shapes is None:
            return step, step
        scale = 255.0 / image_max
        luma, chroma = (
            ops.clip(self._rounding(scale * step * np.reshape(table, -1)), 1.0, 255.0) / scale for table in self._shapes
        )
        return luma, chroma if self._jpeg.convert_to_yuv else luma

    def _jpeg_rate(self, images: Any, coefficients: list[Any], step: Any, image_max: float) -> Any:
        """Bits of each image (n,).

        Args:
            images: what is coded.
            coefficients: of every plane, in steps but not rounded: of what is rounded to zero, the rate would not rise, and what
                is trained would let it grow until it is not.
            step: of the images.
            image_max: the largest sample.
        """
        proxy = sum(ops.sum(ops.log(1.0 + ops.abs(c)), axis=(1, 2, 3)) for c in coefficients)
        bits = self._file_bits(images, len(coefficients), step, image_max)
        weight = ops.stop_gradient(proxy * bits / (ops.square(proxy) + 1.0))
        return weight * proxy

    def _file_bits(self, images: Any, channels: int, step: Any, image_max: float) -> Any:
        """Bits of the real files; a JPEG has samples up to 255, so images and step are scaled to that."""
        scale, shape = 255.0 / image_max, images.shape[:1]
        step = ops.stop_gradient(scale * step)
        images = ops.stop_gradient(scale * images)
        tables = FLAT if self._shapes is None else self._shapes
        bits = partial(jpeg_bits, tables=tables, subsampled=self._jpeg.downsample_chroma, headers=self.count_headers)
        if self._jpeg.convert_to_yuv:
            return on_host(partial(bits, apart=False), (images, step), shape)
        gray = partial(bits, apart=True)
        if not self._jpeg.downsample_chroma:
            return on_host(gray, (images[..., :channels], step), shape)
        planes = self._jpeg.planes(_extended(images, 2))[:channels]
        return sum(on_host(gray, (plane, step), shape) for plane in planes)


def _gaussian_rate(coefficients: list[Any]) -> Any:
    """Bits of each image (n,), were the coefficients of a frequency, in units of their step, Gaussian."""
    bits = []
    for c in coefficients:
        variances = ops.var(c, axis=(1, 2))
        spreads = 0.5 * ops.log(variances + _TINY)
        entropies = ops.relu(spreads + 0.5 * np.log(2.0 * np.pi * np.e))
        bits.append(ops.sum(entropies, axis=-1) * float(c.shape[1] * c.shape[2]) / np.log(2.0))
    return sum(bits[1:], start=bits[0])


def _unchanged(samples: Any) -> Any:
    return samples


def _extended(images: Any, multiple: int) -> Any:
    """Images (n, h, w, c) extended to the right and below to a multiple, mirrored at their edge."""
    for axis in (1, 2):
        side = images.shape[axis]
        if more := -side % multiple:
            images = ops.take(images, np.pad(np.arange(side), (0, more), mode="symmetric"), axis=axis)
    return images


@lru_cache(maxsize=4)
def _basis(size: int) -> npt.NDArray[np.float32]:
    """The orthonormal two-dimensional DCT-II of blocks as one matrix (pixels, coefficients)."""
    along: npt.NDArray[np.float64] = np.asarray(dct(np.eye(size), norm="ortho", axis=0), np.float64)
    return np.kron(along, along).T.astype(np.float32)


def _forward(plane: Any, size: int) -> Any:
    """Coefficients of a plane (n, h, w, 1): (n, h / size, w / size, size**2)."""
    n, height, width, _ = plane.shape
    blocks = ops.reshape(plane - _OFFSET, (n, height // size, size, width // size, size))
    blocks = ops.reshape(ops.transpose(blocks, (0, 1, 3, 2, 4)), (n, height // size, width // size, size**2))
    return ops.matmul(blocks, _basis(size))


def _inverse(coefficients: Any, size: int) -> Any:
    """The reverse of `_forward`."""
    n, rows, columns, _ = coefficients.shape
    blocks = ops.reshape(ops.matmul(coefficients, _basis(size).T), (n, rows, columns, size, size))
    plane = ops.reshape(ops.transpose(blocks, (0, 1, 3, 2, 4)), (n, rows * size, columns * size, 1))
    return plane + _OFFSET
