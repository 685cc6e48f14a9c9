"""Measures in a process of its own, which may use as many cores as the networks have threads.

NumPy settles how many cores it uses when it is loaded. Where a system cannot limit a process, NumPy uses all of them.
"""

import json
import subprocess
import sys
from typing import Any

from ..errors import RequestError
from ..processors import keep_blas_calm
from .timing import pin, usable_cores


def require_cores(threads: int) -> None:
    """Refuses more threads than there are cores.

    Raises:
        RequestError: there are fewer.
    """
    if threads > usable_cores():
        raise RequestError(
            f"{threads} threads need as many cores, and {usable_cores()} are there: give fewer --threads"
        )


def measured(module: str, arguments: list[str], cores: int) -> Any:
    """What a module of `evaluation` prints as JSON when it is run on so many cores, with BLAS as our command line has it."""
    keep_blas_calm()
    command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, preexec_fn=pin(cores)).stdout)
