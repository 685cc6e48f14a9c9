"""Fuzz target of the container: whatever the bytes, a file or one of our errors.

`python fuzz_container.py FILE...` runs it over files, as a fuzzer writes them.
"""

import sys
from pathlib import Path

from nicodec.bitstream.container import Header, read, read_header, write
from nicodec.errors import FormatError

ALLOWED = (FormatError,)


def fuzz_one(data: bytes) -> None:
    """Read the bytes in every way; an exception outside `ALLOWED` or a failed assertion is a finding."""
    try:
        header: Header | None = read_header(data)
    except ALLOWED:
        header = None
    try:
        partial = read(data, allow_partial=True)
        assert partial.header == header
        whole = read(data)
    except ALLOWED:
        return
    assert whole == partial
    assert whole.complete
    assert read(write(whole)) == whole


if __name__ == "__main__":
    for name in sys.argv[1:]:
        fuzz_one(Path(name).read_bytes())
