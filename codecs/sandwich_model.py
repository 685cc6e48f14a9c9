"""What a sandwich model says beside its networks, read from its `entropy.npz`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from ..models.step_tables import Tables
from ..models.zoo import Model
from . import entropy_file
from .sandwich_header import Inner

_MOST_HALO = 1024
_MOST_RELATIVE = 256.0


@dataclass(frozen=True)
class Net:
    """One of the two networks.

    Attributes:
        alignment: what the sides of its input must be multiples of.
        halo: pixels around a position that it depends on, a multiple of the alignment.
    """

    alignment: int
    halo: int


@dataclass(frozen=True, eq=False)
class SandwichModel:
    """Everything but the networks' weights.

    Attributes:
        channels: of what the standard codec codes.
        downsampling: by how much that is smaller than the picture, 1 or 2.
        subsampled: whether the standard codec stores its colour at half the resolution.
        steps: the quantisation steps of quality 0 and 100.
        tables: quantisation tables of luma and chroma relative to the step, float32 (2, 8, 8), for JPEG.
        trained: standard codecs that the post-processor was trained for.
        coded_alignment: what the sides of a picture are extended to multiples of before it is coded.
        pre: the network before the standard codec.
        post: the network behind it.
        depth: most bits per sample of its pictures, 8 or 16.
    """

    channels: int
    downsampling: int
    subsampled: bool
    steps: tuple[int, int]
    tables: Tables
    trained: tuple[Inner, ...]
    coded_alignment: int
    pre: Net
    post: Net
    depth: int

    def step_at(self, quality: float) -> int:
        """The quantisation step at a quality from 0 to 100."""
        coarse, fine = self.steps
        step: float = coarse * (fine / coarse) ** (quality / 100.0)
        return round(step)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays of an entropy.npz."""
        return {
            "channels": np.array(self.channels, np.uint8),
            "downsampling": np.array(self.downsampling, np.uint8),
            "subsampled": np.array(self.subsampled, np.uint8),
            "steps": np.array(self.steps, np.uint8),
            "tables": np.array(self.tables, np.float32),
            "trained": np.array(self.trained, np.uint8),
            "coded_alignment": np.array(self.coded_alignment, np.uint8),
            "alignment": np.array([self.pre.alignment, self.post.alignment], np.uint16),
            "halo": np.array([self.pre.halo, self.post.halo], np.uint16),
            "depth": np.array(self.depth, np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "SandwichModel":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or damaged.
        """
        try:
            coarse, fine = (int(step) for step in arrays["steps"])
            pre, post = (
                Net(int(alignment), int(halo))
                for alignment, halo in zip(arrays["alignment"], arrays["halo"], strict=True)
            )
            found = cls(
                int(arrays["channels"]),
                int(arrays["downsampling"]),
                bool(arrays["subsampled"]),
                (coarse, fine),
                np.asarray(arrays["tables"], np.float32),
                tuple(Inner(int(number)) for number in arrays["trained"]),
                int(arrays["coded_alignment"]),
                pre,
                post,
                int(arrays["depth"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"the model has no valid {error}: reinstall the model") from error
        found.check()
        return found

    def check(self) -> None:
        """Refuses numbers that no model has.

        Raises:
            FormatError: there is one.
        """
        nets = all(
            net.alignment >= 1 and net.halo <= _MOST_HALO and net.halo % net.alignment == 0
            for net in (self.pre, self.post)
        )
        kinds = self.channels in (1, 3) and self.downsampling in (1, 2) and self.depth in (8, 16) and bool(self.trained)
        # Alignments that a header can say, of which each holds whole samples of what is coded.
        coded = self.coded_alignment in (1, 2, 4, 8, 16) and self.coded_alignment % self.downsampling == 0
        tables = self.tables.shape == (2, 8, 8) and bool(np.all((self.tables > 0) & (self.tables < _MOST_RELATIVE)))
        if not (nets and kinds and coded and tables and 1 <= self.steps[1] < self.steps[0]):
            raise FormatError("the model's numbers are damaged: reinstall the model")


@lru_cache(maxsize=8)
def load(model: Model) -> SandwichModel:
    """What a zoo entry says.

    Raises:
        ModelError: the files are missing or damaged.
    """
    return entropy_file.read(model, SandwichModel.from_arrays)
