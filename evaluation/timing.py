"""Times actions, if need be on fewer cores than there are."""

import os
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

Action = Callable[[], object]
Row = tuple[str, str]
"""What was measured, and the result in words."""


def median_time(action: Action, runs: int) -> float:
    """Median seconds of an action that has run once before."""
    action()
    times: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pin(cores: int) -> Callable[[], None] | None:
    """What keeps a process on its first cores, as `subprocess` takes it to be called in the new process.

    Returns:
        None where the system has no such thing; the process then uses all cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    return lambda: os.sched_setaffinity(0, chosen)


@contextmanager
def one_core() -> Generator[None]:
    """Keeps the calling thread on one core for the duration of a block, where the system can."""
    pin_thread = pin(1)
    if pin_thread is None:
        yield
        return
    before = os.sched_getaffinity(0)
    pin_thread()
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
