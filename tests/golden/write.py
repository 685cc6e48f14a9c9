"""Writes golden .nic files for shipped models that have none yet; never replaces one.

    python tests/golden/write.py

Each case is a file in the folder of its codec, the picture it decoded to when it was written, and a line in that folder's
checksums.txt with the SHA-256 of its latents. `tests/codecs/test_golden.py` decodes all of them for ever. A new revision of
a model gets new cases; the old ones stay.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from skimage import data

import nicodec
from nicodec import images
from nicodec.bitstream import container
from nicodec.bitstream.container import Container
from nicodec.codecs import sandwich_header, standard
from nicodec.codecs.base import EncodeSettings
from nicodec.codecs.embedded import Embedded
from nicodec.codecs.l3ic import L3ic, encode_picture
from nicodec.codecs.layered import LayeredCodec
from nicodec.codecs.residual_gru import ResidualGru
from nicodec.codecs.sandwich import Sandwich
from nicodec.codecs.shallow import Shallow
from nicodec.codecs.shallow_decoder import decode_latents
from nicodec.models import zoo
from nicodec.models.zoo import Model

STEP = 1.5

FOLDER = Path(__file__).parent

Cases = dict[str, Callable[[], Container]]


def pictures() -> dict[str, images.Picture]:
    """Small pictures that use every feature of a codec."""
    photo: npt.NDArray[np.uint8] = np.asarray(data.astronaut())  # type: ignore[no-untyped-call]
    ramp = np.linspace(0, 255, 33 * 17).astype(np.uint8).reshape(17, 33)
    return {
        "photo": images.from_array(photo[40:136, 150:278]),
        "odd": images.from_array(photo[200:237, 100:151]),
        "gray-alpha": images.from_array(photo[60:77, 180:213, 1], alpha=ramp),
        "pixel": images.from_array(photo[:1, :1]),
    }


def l3ic_cases(model: Model) -> Cases:
    """Every picture in both profiles, and with a latent step if the model takes one."""
    made: Cases = {}
    for profile, independent in (("context", False), ("independent", True)):
        settings = EncodeSettings(independent_channels=independent)
        for name, picture in pictures().items():
            made[f"{name}-{profile}"] = partial(encode_picture, picture, model, settings)
        if model.card["architecture"].get("latent_type") == "float32":
            made[f"photo-{profile}-step"] = partial(encode_picture, pictures()["photo"], model, settings, step=STEP)
    return made


def l3ic_latents(coded: Container, model: Model) -> bytes:
    """The latents of a file as int8 (channels, height, width)."""
    return L3ic().decode_planes(coded, model, tuple(range(coded.header.channels))).astype(np.int8).tobytes()


def shallow_cases(model: Model) -> Cases:
    """A photo at several settings, and every other picture. At quality 100 some latents lie outside of the tables."""
    of = pictures()
    cases = {
        "photo-q20": (of["photo"], EncodeSettings(quality=20)),
        "photo-q80": (of["photo"], EncodeSettings(quality=80)),
        "photo-q100": (of["photo"], EncodeSettings(quality=100)),
        "photo-fast": (of["photo"], EncodeSettings(fast_decode=True)),
        "photo-effort-1": (of["photo"], EncodeSettings(effort=1)),
        "photo-effort-5": (of["photo"], EncodeSettings(effort=5)),
        "odd": (of["odd"], EncodeSettings()),
        "gray-alpha": (of["gray-alpha"], EncodeSettings()),
        "pixel": (of["pixel"], EncodeSettings()),
    }
    return {case: partial(Shallow().encode, picture, model, settings) for case, (picture, settings) in cases.items()}


def shallow_latents(coded: Container, model: Model) -> bytes:
    """The latents of a file as little-endian int32 (channels, rows, width), stripe after stripe."""
    return b"".join(stripe.astype("<i4").tobytes() for stripe in decode_latents(coded, model))


def sandwich_cases(model: Model) -> Cases:
    """A photo at several settings, and every other picture; of a model of more bits, a photo with them."""
    of = pictures()
    cases = {
        "photo": (of["photo"], EncodeSettings()),
        "photo-q90": (of["photo"], EncodeSettings(quality=90)),
        "photo-webp": (of["photo"], EncodeSettings(inner="webp")),
        "odd": (of["odd"], EncodeSettings()),
        "gray-alpha": (of["gray-alpha"], EncodeSettings()),
        "pixel": (of["pixel"], EncodeSettings()),
    }
    if Sandwich().depth(model) > 8:
        photo = of["photo"].pixels.astype(np.uint16) << 8
        cases["photo-deep"] = (images.from_array(photo, deep=True), EncodeSettings(quality=90))
    return {case: partial(Sandwich().encode, picture, model, settings) for case, (picture, settings) in cases.items()}


def sandwich_latents(coded: Container, model: Model) -> bytes:
    """The samples that the standard codec restores, bytes (rows, width, channels)."""
    del model
    header, (data, _) = coded.header, Sandwich().inner_file(coded)
    inner = sandwich_header.inner_of(header)
    return standard.decode(inner, data, header.latent_height, header.latent_width, header.channels).tobytes()


def level_cases(codec: LayeredCodec, model: Model) -> Cases:
    """A photo with all levels and with some, and every other picture."""
    of = pictures()
    cases = {
        "photo": (of["photo"], EncodeSettings()),
        "photo-level-3": (of["photo"], EncodeSettings(level=3)),
        "odd": (of["odd"], EncodeSettings()),
        "gray-alpha": (of["gray-alpha"], EncodeSettings(level=7)),
        "pixel": (of["pixel"], EncodeSettings(level=0)),
    }
    return {case: partial(codec.encode, picture, model, settings) for case, (picture, settings) in cases.items()}


def codes(codec: LayeredCodec, coded: Container, model: Model) -> bytes:
    """The codes of a file, a byte each, (levels, channels, rows, width)."""
    return codec.codes(coded, model).tobytes()


class Kind(NamedTuple):
    """What is written for the models of one codec.

    Attributes:
        folder: where the files are.
        cases: names of the cases of a model, and what encodes each.
        latents: bytes of the decoded latents of a file.
    """

    folder: Path
    cases: Callable[[Model], Cases]
    latents: Callable[[Container, Model], bytes]


LAYERED: tuple[LayeredCodec, ...] = (Embedded(), ResidualGru())

KINDS = {
    L3ic.number: Kind(FOLDER / L3ic.id, l3ic_cases, l3ic_latents),
    **{codec.number: Kind(FOLDER / codec.id, partial(level_cases, codec), partial(codes, codec)) for codec in LAYERED},
    Sandwich.number: Kind(FOLDER / Sandwich.id, sandwich_cases, sandwich_latents),
    Shallow.number: Kind(FOLDER / Shallow.id, shallow_cases, shallow_latents),
}


def latents_digest(coded: Container, model: Model) -> str:
    """SHA-256 of the decoded latents of a file."""
    return hashlib.sha256(KINDS[model.codec].latents(coded, model)).hexdigest()


def add(stem: str, encode: Callable[[], Container], model: Model) -> None:
    """Writes one case if it is not there."""
    target = KINDS[model.codec].folder / f"{stem}.nic"
    if target.exists():
        return
    target.parent.mkdir(exist_ok=True)
    coded = container.write(encode())
    target.write_bytes(coded)
    images.save(nicodec.decode(coded), target.with_suffix(".png"))
    with open(target.with_name("checksums.txt"), "a") as checksums:
        checksums.write(f"{latents_digest(container.read(coded), model)}  {target.name}\n")


def main() -> None:
    """Adds the missing cases of every shipped model that can encode."""
    shipped = zoo.search_path()[-1]
    for model in zoo.installed([shipped]):
        if model.codec not in KINDS or not (model.folder / zoo.ENCODER).exists():
            continue
        for case, encode in KINDS[model.codec].cases(model).items():
            add(f"{model.id}-r{model.revision}-{case}", encode, model)


if __name__ == "__main__":
    main()
