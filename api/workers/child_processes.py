"""Child processes of the service: forked from one that has imported what all need, so that a new one starts several times faster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext

IMPORTED = ["frugaltwin.campaign", "frugaltwin.catalog"]
"""Modules that each child needs. Not torch, which takes seconds and which a service without questions never needs."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of the children: they work side by side, and numpy and torch read it when they are imported."""


def start_method() -> ForkServerContext | SpawnContext:
    """The way in which children start: by the fork server, which has no threads whose locks a fork would copy; else spawned.

    A child begins with Ctrl-C blocked, which a terminal sends to all processes; it may allow it once it is ready for it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    with without_ctrl_c(), _environment(ONE_THREAD):
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


@contextlib.contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C in this thread, and in processes that it starts meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its own beginning would end the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def allow_ctrl_c() -> None:
    """End the blocking with which a child begins."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _environment(words: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in words}
    os.environ.update(words)
    try:
        yield
    finally:
        for name, word in before.items():
            if word is None:
                del os.environ[name]
            else:
                os.environ[name] = word


multiprocessing.set_forkserver_preload(IMPORTED)
