"""Writes golden .nic files for models that have none yet; never replaces one.

    python tests/golden/write_l3ic.py

Each case is a file, the picture it decoded to when it was written, and a line in checksums.txt with the SHA-256 of its
latents. `tests/codecs/test_golden.py` decodes all of them for ever. A new revision of a model gets new cases; the old
ones stay.
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage import data

import nicodec
from nicodec import images
from nicodec.bitstream import container
from nicodec.codecs.base import EncodeSettings
from nicodec.codecs.l3ic import L3ic, encode_picture
from nicodec.models import zoo
from nicodec.models.zoo import Model

STEP = 1.5

FOLDER = Path(__file__).parent / "l3ic"


def pictures() -> dict[str, images.Picture]:
    """Small pictures that use every feature of the codec."""
    photo: npt.NDArray[np.uint8] = np.asarray(data.astronaut())  # type: ignore[no-untyped-call]
    ramp = np.linspace(0, 255, 33 * 17).astype(np.uint8).reshape(17, 33)
    return {
        "photo": images.from_array(photo[40:136, 150:278]),
        "odd": images.from_array(photo[200:237, 100:151]),
        "gray-alpha": images.from_array(photo[60:77, 180:213, 1], alpha=ramp),
        "pixel": images.from_array(photo[:1, :1]),
    }


def cases(model: Model) -> dict[str, tuple[images.Picture, bool, float]]:
    """Picture, whether channels are independent, and latent step of every case of a model."""
    made = {
        f"{name}-{profile}": (picture, profile == "independent", 1.0)
        for name, picture in pictures().items()
        for profile in ("context", "independent")
    }
    if model.card["architecture"].get("latent_type") == "float32":
        for profile in ("context", "independent"):
            made[f"photo-{profile}-step"] = (pictures()["photo"], profile == "independent", STEP)
    return made


def main() -> None:
    """Adds the missing cases of every installed model that can encode."""
    FOLDER.mkdir(exist_ok=True)
    lines: list[str] = []
    for model in zoo.installed():
        if model.codec != L3ic.number or not (model.folder / zoo.ENCODER).exists():
            continue
        for case, (picture, independent, step) in cases(model).items():
            stem = f"{model.id}-r{model.revision}-{case}"
            target = FOLDER / f"{stem}.nic"
            if target.exists():
                continue
            settings = EncodeSettings(independent_channels=independent)
            coded = container.write(encode_picture(picture, model, settings, step=step))
            target.write_bytes(coded)
            images.save(nicodec.decode(coded), FOLDER / f"{stem}.png")
            parsed = container.read(coded)
            latents = L3ic().decode_planes(parsed, model, tuple(range(parsed.header.channels)))
            digest = hashlib.sha256(latents.astype(np.int8).tobytes()).hexdigest()
            lines.append(f"{digest}  {stem}.nic\n")
    with open(FOLDER / "checksums.txt", "a") as stream:
        stream.writelines(lines)


if __name__ == "__main__":
    main()
