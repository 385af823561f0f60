"""Performs the campaigns of a plan on processes of this machine, or on a Dask cluster. Killed anywhere, it goes on where it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path

from frugaltwin.bench.plan import Shard
from frugaltwin.bench.shard import THREADS, perform_into
from frugaltwin.errors import CampaignError, FrugalTwinError

Done = Callable[[Shard], None]
"""A function called with each campaign when its result is on disk."""


def missing(shards: Sequence[Shard], folder: Path) -> list[Shard]:
    """The campaigns whose results are not there yet; of two that are the same, one."""
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    return list({s.file: s for s in shards if s.file not in there}.values())


def perform(shards: Sequence[Shard], folder: Path, jobs: int, done: Done) -> None:
    """Perform campaigns on so many processes of this machine, one thread each.

    Raises:
        FrugalTwinError: A campaign cannot be made, or a process was killed. What was finished is kept.
        OSError: A result cannot be written.
    """
    with alone_in(folder), _one_thread_each():
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_end_with_parent)
        try:
            _collect(pool, lambda s: pool.submit(perform_into, s, folder), shards, 2 * jobs, done)
        except BrokenProcessPool as error:
            text = "a process of the run was killed, perhaps for want of memory; what was finished is kept: run it again"
            raise CampaignError(text) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _collect(pool: Executor, submit: Callable[[Shard], Future[None]], shards: Sequence[Shard], ahead: int, done: Done) -> None:
    """Have all of them performed, so many ahead of what is finished."""
    waiting, running = iter(shards), dict[Future[None], Shard]()
    while True:
        while len(running) < ahead and (shard := next(waiting, None)) is not None:
            running[submit(shard)] = shard
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            shard = running.pop(future)
            try:
                future.result()
            except FrugalTwinError as error:
                raise type(error)(f"{shard.title}: {error}") from error
            done(shard)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock a folder of results, and remove what a killed run left half written."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for left in folder.glob(".*.tmp"):
                left.unlink(missing_ok=True)
            yield
    except Timeout as error:
        raise CampaignError(f"another process is running this plan in {folder}; wait for it, or stop it") from error


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Environment of the processes: one thread of each BLAS, set before they import anything."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however it ended; Ctrl-C is the parent's to answer."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
