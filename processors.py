"""How numerical libraries share the processors in our own programs."""

import os


def keep_blas_calm() -> None:
    """Lets idle threads of NumPy's OpenBLAS sleep after microseconds; to be called before NumPy is imported.

    By default they spin for tens of milliseconds after a matrix product, and take a core from the network that runs next:
    decoding a 768x512 picture on two cores takes a third longer. What the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
