"""Performs the campaigns of a plan on processes of this machine, or on a Dask cluster. Killed anywhere, it goes on where it was."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from frugaltwin.bench.plan import Shard
from frugaltwin.bench.shard import THREADS, perform_into, result_bytes, write_atomically
from frugaltwin.errors import CampaignError, FrugalTwinError, MissingPart

Found = TypeVar("Found")
Done = Callable[[Shard], None]
"""A function called with each campaign when its result is on disk."""
CONNECTS_WITHIN = 10
"""Seconds after which a cluster that does not answer is none."""
WORKERS_WITHIN = 60
"""Seconds after which a cluster without workers is given up."""


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


def apart(function: Callable[..., Found], *arguments: Any) -> Found:
    """The result of a function that is called in a process of its own, with one thread."""
    with _one_thread_each(), ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        return pool.submit(function, *arguments).result()


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


def perform_on(address: str, shards: Sequence[Shard], folder: Path, done: Done) -> None:
    """Perform campaigns on a Dask cluster, whose workers may come and go. Results travel as bytes, so that they need not share a disk.

    Raises:
        MissingPart: Dask is not installed.
        FrugalTwinError: There is no cluster, it goes away, or a campaign cannot be made. What was finished is kept.
        OSError: A result cannot be written.
    """
    with alone_in(folder), _connected(address) as client:
        for shard, content in _performed_on(address, client, shards):
            write_atomically(folder / shard.file, content)
            done(shard)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Client of a cluster, which says nothing itself."""
    try:
        distributed = import_module("distributed")
    except ModuleNotFoundError as error:
        raise MissingPart("a Dask cluster needs the package 'distributed'; install it with pip install 'frugaltwin[dask]'") from error
    for name in ("distributed", "asyncio", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=CONNECTS_WITHIN)
    except (OSError, ValueError) as error:
        text = f"there is no Dask scheduler at {address}; start one with `dask scheduler`, and give the address that it prints"
        raise CampaignError(text) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # of a cluster that is gone
            client.close(timeout=5)


def _told(
    running: Mapping[Any, Shard], ended: Iterable[Any]
) -> tuple[list[tuple[Shard, bytes]], list[tuple[Shard, BaseException]], list[Shard]]:
    """Results, failures, and campaigns that are neither: their worker went before the result came.

    There the connection may be lost, too, which shows at the next step.
    """
    results, failures, lost = list[tuple[Shard, bytes]](), list[tuple[Shard, BaseException]](), list[Shard]()
    for future in ended:
        if future.status == "finished":
            results.append((running[future], future.result()))
        elif failure := future.exception():
            failures.append((running[future], failure))
        else:
            lost.append(running[future])
    return results, failures, lost


def _performed_on(address: str, client: Any, shards: Sequence[Shard]) -> Iterator[tuple[Shard, bytes]]:
    """The campaigns with their results, in the order in which they end."""
    distributed = import_module("distributed")
    waiting, running, there_at = iter(shards), dict[Any, Shard](), monotonic()
    while True:
        try:
            n_threads = sum(client.nthreads().values())
            there_at = monotonic() if n_threads else there_at
            for shard in islice(waiting, max(4 * n_threads, 8, len(running)) - len(running)):
                running[client.submit(result_bytes, shard, key=f"{shard.digest}-{id(running)}", pure=False)] = shard
            if not running:
                return
            try:
                ended = distributed.wait(list(running), timeout=1, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                ended = set()
            results, failures, lost = _told(running, ended)
            waiting = chain(lost, waiting)
        except (OSError, CancelledError, RuntimeError, AttributeError) as error:  # whichever it was at when the connection was lost
            raise CampaignError(f"the Dask cluster at {address} has gone; what was finished is kept: run it again") from error
        yield from results
        for future in ended:
            del running[future]
        for shard, failure in failures:
            if isinstance(failure, FrugalTwinError):
                raise type(failure)(f"{shard.title}: {failure}") from failure
            if isinstance(failure, distributed.KilledWorker):
                text = "the workers that performed it were killed, one after the other, perhaps for want of memory"
            else:
                text = f"a worker cannot perform it ({type(failure).__name__}: {failure}); is the same frugaltwin installed there?"
            raise CampaignError(f"{shard.title}: {text}; what was finished is kept: run it again") from failure
        if monotonic() - there_at > WORKERS_WITHIN:
            text = f"the Dask cluster at {address} has no workers; start some with `dask worker {address}`, one thread each"
            raise CampaignError(f"{text}; what was finished is kept: run it again")


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
