"""NumPy archives that may be damaged."""

import struct
import tokenize
import zipfile
import zlib

DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, MemoryError, OverflowError),
    *(NotImplementedError, RuntimeError, SyntaxError, TypeError, ValueError, tokenize.TokenError),
)
"""What the standard library and NumPy raise for archives and arrays that are none."""
