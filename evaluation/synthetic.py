"""A made picture to measure speed on, of any size and the same on every machine."""

import numpy as np
import numpy.typing as npt


def photo(width: int, height: int) -> npt.NDArray[np.uint8]:
    """A picture with the spectrum of a photograph: coloured noise with a falling power law, uint8 (height, width, 3)."""
    rng = np.random.default_rng(5)
    tile = min(1024, width, height)
    frequency = np.hypot(np.fft.fftfreq(tile)[:, None], np.fft.rfftfreq(tile)[None]) + 1 / tile
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal((tile, tile))) / frequency**1.6) for _ in range(3)]
    luma = planes[0][..., None] + 0.3 * np.stack(planes, axis=-1)
    pixels = np.clip(128 + 45 * luma / luma.std(), 0, 255).astype(np.uint8)
    repeats = (-(-height // tile), -(-width // tile), 1)
    return np.tile(pixels, repeats)[:height, :width]
