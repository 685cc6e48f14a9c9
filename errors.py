"""Every error nicodec raises on purpose, and the exit code a command ends with.

    NicodecError                     1
    |- RequestError (ValueError)     2  the caller asked for something impossible
    |- FormatError (ValueError)      1  the data is not what FORMAT.md describes
    |  |- NotNicError                   the magic bytes are missing
    |  |- NewerVersionError             a major version this reader does not know
    |  |- UnknownChunkError             a critical chunk this reader does not know
    |  |- ChecksumError                 a chunk arrived damaged
    |  |- TruncatedError                the data ends too early
    |  `- LimitError                    a declared size exceeds what the reader allows
    |- ModelError (LookupError)      1  no weights to decode or encode with
    |  |- ModelMissingError             no model of that name or number is installed
    |  `- ModelMismatchError            installed, but not the revision the file needs
    |- PictureError (ValueError)     1  the input image cannot be read
    |- OutputError (OSError)         1  the result cannot be written
    |  `- OutputExistsError             the target exists and --force was not given
    `- BackendError (RuntimeError)   1  an inference runtime is missing or failed

Each class also inherits the built-in that fits, so a caller who knows nothing of nicodec can still catch
`ValueError` or `OSError`. A message is one line: what is wrong, then what to do about it.
"""


class NicodecError(Exception):
    """Root of the tree; `exit_code` is the process exit status of the command line."""

    exit_code = 1


class RequestError(NicodecError, ValueError):
    """The caller asked for something that cannot be done (unknown option value, channel out of range)."""

    exit_code = 2


class FormatError(NicodecError, ValueError):
    """The data violates the format."""


class NotNicError(FormatError):
    """The data does not start with the .nic magic bytes."""


class NewerVersionError(FormatError):
    """The file's major version is newer than this reader."""


class UnknownChunkError(FormatError):
    """A critical chunk type this reader does not know: the file cannot be decoded correctly."""


class ChecksumError(FormatError):
    """A chunk's CRC-32 does not match.

    Attributes:
        segment: index of the damaged segment, or None if another chunk is damaged.
    """

    def __init__(self, message: str, segment: int | None = None) -> None:
        super().__init__(message)
        self.segment = segment


class TruncatedError(FormatError):
    """The data ends before it is complete; the message says what arrived."""


class LimitError(FormatError):
    """A declared size is over the reader's limit; nothing was allocated for it."""


class ModelError(NicodecError, LookupError):
    """No usable weights."""


class ModelMissingError(ModelError):
    """No model of that name or number is installed."""


class ModelMismatchError(ModelError):
    """The model is installed, but not in the revision the file was encoded with."""


class PictureError(NicodecError, ValueError):
    """The input image cannot be read."""


class OutputError(NicodecError, OSError):
    """The result cannot be written."""


class OutputExistsError(OutputError):
    """The target exists already and overwriting was not asked for."""


class BackendError(NicodecError, RuntimeError):
    """An inference runtime is not installed or failed."""
