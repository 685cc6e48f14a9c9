"""nicodec: photos to .nic files and back, with neural networks.

Everything public is imported on first use, so that `import nicodec` costs nothing:

    >>> import nicodec
    >>> nicodec.__version__.count(".")
    2
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        decode,
        decode_arriving,
        decode_levels,
        encode,
        from_code_file,
        latents,
        to_code_file,
        truncate,
        verify,
    )
    from .bitstream.limits import Limits
    from .errors import (
        BackendError,
        ChecksumError,
        FormatError,
        LimitError,
        ModelError,
        ModelMismatchError,
        ModelMissingError,
        NewerVersionError,
        NicodecError,
        NotNicError,
        OutputError,
        OutputExistsError,
        PictureError,
        RequestError,
        TruncatedError,
        UnknownChunkError,
    )
    from .images import Picture, from_array, to_array
    from .inspection import FileInfo, info

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "ChecksumError",
    "FileInfo",
    "FormatError",
    "LimitError",
    "Limits",
    "ModelError",
    "ModelMismatchError",
    "ModelMissingError",
    "NewerVersionError",
    "NicodecError",
    "NotNicError",
    "OutputError",
    "OutputExistsError",
    "Picture",
    "PictureError",
    "RequestError",
    "TruncatedError",
    "UnknownChunkError",
    "__version__",
    "decode",
    "decode_arriving",
    "decode_levels",
    "encode",
    "from_array",
    "from_code_file",
    "info",
    "latents",
    "to_array",
    "to_code_file",
    "truncate",
    "verify",
]

_HOME = {
    "FileInfo": ".inspection",
    "Limits": ".bitstream.limits",
    "Picture": ".images",
    "decode": ".api",
    "decode_arriving": ".api",
    "decode_levels": ".api",
    "encode": ".api",
    "from_array": ".images",
    "from_code_file": ".api",
    "info": ".inspection",
    "latents": ".api",
    "to_array": ".images",
    "to_code_file": ".api",
    "truncate": ".api",
    "verify": ".api",
    **{name: ".errors" for name in __all__ if name.endswith("Error")},
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)


def __dir__() -> list[str]:
    return __all__
