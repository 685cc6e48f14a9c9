"""Published Kodak curves to measure against, as plain figures.

Source: results/image/kodak/jpeg.json and bpg_444_x265_ycbcr.json of CompressAI, https://github.com/InterDigitalInc/CompressAI.
bpp counts whole files, PSNR is over RGB, and all three figures are means over the 24 pictures (of each picture's PSNR).
JPEG is Pillow 7.1.2 at its default subsampling, 4:2:0, at qualities 5, 10, ... 95. BPG is bpgenc 0.9.8 with x265,
8 bits, YCbCr 4:4:4.
"""

from .curves import Curve, CurvePoint

_Row = tuple[float, float, float]

# bpp, PSNR in decibel, MS-SSIM.
_JPEG: tuple[_Row, ...] = (
    (0.221153, 23.77989, 0.803071),
    (0.326614, 26.57723, 0.889862),
    (0.423126, 28.04225, 0.923584),
    (0.508386, 29.04181, 0.942709),
    (0.587866, 29.78473, 0.953349),
    (0.660127, 30.37831, 0.960616),
    (0.728946, 30.90316, 0.966143),
    (0.786027, 31.30783, 0.969692),
    (0.849719, 31.70485, 0.97265),
    (0.906001, 32.05865, 0.975253),
    (0.96438, 32.3993, 0.977267),
    (1.037212, 32.78992, 0.979276),
    (1.127396, 33.23474, 0.981364),
    (1.239846, 33.79259, 0.983707),
    (1.368827, 34.3943, 0.98575),
    (1.571807, 35.239, 0.988191),
    (1.858816, 36.32886, 0.990552),
    (2.350199, 37.91212, 0.992981),
    (3.40134, 40.55666, 0.995637),
)
_BPG444: tuple[_Row, ...] = (
    (0.067768, 26.19513, 0.86859),
    (0.161023, 28.68155, 0.924205),
    (0.351554, 31.59466, 0.961144),
    (0.684697, 34.85747, 0.980799),
    (1.199665, 38.25989, 0.990467),
    (1.929712, 41.47887, 0.994933),
    (3.057876, 44.70311, 0.997546),
    (4.703143, 47.63252, 0.998802),
)


def published_curves() -> tuple[Curve, ...]:
    """The curves `published/jpeg` and `published/bpg444`."""
    return (
        _curve("published/jpeg", _JPEG, "CompressAI: Pillow 7.1.2, 4:2:0"),
        _curve("published/bpg444", _BPG444, "CompressAI: BPG 0.9.8, x265, 4:4:4"),
    )


def _curve(name: str, rows: tuple[_Row, ...], source: str) -> Curve:
    points = tuple(CurvePoint(bpp=bpp, psnr=psnr, msssim=msssim) for bpp, psnr, msssim in rows)
    return Curve(name=name, points=points, dataset="kodak", source=source)
