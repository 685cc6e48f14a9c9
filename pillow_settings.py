"""Pillow's settings that belong to the whole process, and how they are changed for a while."""

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

_LOCK = threading.Lock()


@contextmanager
def limited(max_pixels: int) -> Generator[None]:
    """Pillow with our pixel limit and silent about oddities of metadata.

    Only one picture is decoded at a time, and the settings are put back.
    """
    from PIL import Image

    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        # Beyond twice this number Pillow refuses by itself, also for the pictures inside of icons.
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
