"""When and how long latents are refined by gradients: from an effort on, stripe by stripe, with TensorFlow."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.container import Header
from ..errors import BackendError
from ..images import Picture
from ..models.zoo import Model
from . import shallow_header, shallow_model
from .base import EncodeSettings, Progress
from .padding import padded
from .shallow_choice import REFINING_EFFORT, chooser, decide
from .shallow_header import STRIDE_LOG2

ITERATIONS = {7: 20, 8: 50, 9: 120}
"""Steps of the optimiser at each effort."""

_HALO = 2

Latents = npt.NDArray[np.float32]
Refine = Callable[[int, Latents, Latents], tuple[Latents, Latents]]
"""Takes the number of a stripe, its latents in quantisation steps and its hyper-latents, and returns better ones."""


def refiner(
    latents: Latents, picture: Picture, header: Header, model: Model, settings: EncodeSettings, progress: Progress
) -> Refine:
    """The refinement that an effort asks for; below `REFINING_EFFORT` it leaves everything as it is.

    Args:
        latents: float32 (channels, h, w) of the whole picture, not scaled.
        picture: the picture.
        header: of the file to be.
        model: the model.
        settings: with the effort.
        progress: told about the steps of all stripes.

    Raises:
        BackendError: TensorFlow is not installed, or in use in another way.
    """
    if settings.effort < REFINING_EFFORT:
        return lambda stripe, exact, hyper: (exact, hyper)
    gradients = _gradients(settings)
    tables = shallow_model.load(model)
    stripes = shallow_header.stripes_of(*latents.shape[1:])
    steps, iterations = shallow_header.quality_of(header), ITERATIONS[settings.effort]
    node, gain = shallow_header.node_of(steps), tables.gain(steps)

    def refine(stripe: int, exact: Latents, hyper: Latents) -> tuple[Latents, Latents]:
        top, bottom = stripes[stripe]
        hyper = np.clip(hyper, *tables.net.input_range)
        prior = tables.prior(np.rint(hyper).astype(np.int32), node, *exact.shape[1:])
        weighed = chooser(exact, tables, steps, REFINING_EFFORT - 1)
        task = gradients.Stripe(
            exact=exact,
            chosen=decide(tables.of_profile(header.profile), prior, header.profile, weighed)[1],
            hyper=hyper,
            pixels=padded(picture.pixels[top << STRIDE_LOG2 : bottom << STRIDE_LOG2], 1),
            above=np.rint(latents[:, max(0, top - _HALO) : top] * gain),
            below=np.rint(latents[:, bottom : bottom + _HALO] * gain),
            steps=steps,
            node=node,
            context=header.profile == shallow_header.CONTEXT,
        )
        done, total = stripe * iterations, len(stripes) * iterations
        better: tuple[Latents, Latents] = gradients.optimise(
            model, tables, task, iterations, lambda step: progress(done + step, total)
        )
        return better

    return refine


def _gradients(settings: EncodeSettings) -> Any:
    try:
        return import_module(".shallow_gradients", __package__)
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise BackendError(
            f"effort {settings.effort} needs TensorFlow, which cannot be imported ({reason}): "
            f"pip install nicodec[train], or choose an effort up to {REFINING_EFFORT - 1}"
        ) from error
