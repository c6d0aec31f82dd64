"""Groups of processes that are gone when their owner says so."""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Makes this process the parent of what its children leave behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants() -> set[int]:
    """All below this process that still run (not zombies)."""
    parent: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, ppid = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parent[int(entry.name)] = int(ppid)
    below = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, ppid in parent.items() if ppid in below} - below
        grown = bool(more)
        below |= more
    return below - {os.getpid()}


def end_descendants(patience: float) -> None:
    """Asks (SIGTERM), waits so many seconds, then kills; returns when all are gone."""
    asked: set[int] = set()
    deadline = time.monotonic() + patience
    while left := descendants():
        kill = time.monotonic() > deadline
        for pid in left if kill else left - asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
        asked |= left
        time.sleep(0.02)
