"""The engine: one function over many items, in threads of this process or on Ray; what is computed is the same."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from threading import local
from typing import Any, Protocol, TypeVar

from brainloop import errors
from brainloop._types import Progress, no_progress
from brainloop.errors import BrainloopError, MissingExtraError, SettingsError, StudyError

__all__ = ["ENGINES", "Engine", "LocalEngine", "RayEngine", "make_engine"]

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 2
"""Items a worker: one it works on, one that waits, so that no worker waits and memory stays bounded."""


class Engine(Protocol):
    """Where a function runs over items."""

    def map(
        self,
        make: Callable[[], Callable[[Item], Result]],
        items: Sequence[Item],
        progress: Progress = no_progress,
    ) -> Iterator[Result]:
        """Yield the result of every item, in whatever order they come.

        Parameters
        ----------
        make : callable
            Makes a worker, once a thread or actor; a worker turns an item into a result. To run on Ray, it and the
            items must be plain values: dataclasses, paths, arrays.
        items : sequence
            Small values that say what to work on; large arrays are read, and written, by the workers.
        progress : Progress
            Called with (items done, items).

        Raises
        ------
        BrainloopError
            What a worker raised, of the same class and with the same message; what is not yet begun is left.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Threads of this process, each holding linear algebra to one thread, so that they share the cores.

    Parameters
    ----------
    workers : int, optional
        Threads; as many as there are cores by default.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        _check(self.workers)

    def map(
        self,
        make: Callable[[], Callable[[Item], Result]],
        items: Sequence[Item],
        progress: Progress = no_progress,
    ) -> Iterator[Result]:
        """Run in threads; see `Engine.map`."""
        from brainloop._blas import one_thread

        workers = self.workers or _cores()
        kept = local()  # each thread's worker

        def work(item: Item) -> Result:
            if not hasattr(kept, "worker"):
                kept.worker = make()
            result: Result = kept.worker(item)
            return result

        waiting = iter(items)
        with one_thread(), ThreadPoolExecutor(workers, thread_name_prefix="engine") as threads:
            flying: set[Future[Result]] = {threads.submit(work, item) for item in islice(waiting, IN_FLIGHT * workers)}
            done = 0
            try:
                while flying:
                    landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                    flying |= {threads.submit(work, item) for item in islice(waiting, len(landed))}
                    for future in landed:
                        result = future.result()
                        done += 1
                        progress(done, len(items))
                        yield result
            finally:
                threads.shutdown(wait=True, cancel_futures=True)


@dataclass
class RayEngine:
    """Actors of Ray Data, on this machine or on all machines of a cluster.

    An actor has one processor, and the share of a GPU that is asked for. Ray is started by the first `map` and stopped
    by `close`, or at the end of a ``with`` statement; a cluster that was there before goes on.

    Parameters
    ----------
    address : str, optional
        Of a running cluster, such as ``auto`` or ``10.0.0.1:6379``; without one, Ray is started on this machine.
    workers : int, optional
        Actors; as many as the cluster has processors by default.
    gpus : float, optional
        GPUs of an actor; by default the cluster's, shared out among the actors.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    StudyError
        No cluster answers at the address, or it lost the work.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        _check(self.workers)
        self._started = False

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def map(
        self,
        make: Callable[[], Callable[[Item], Result]],
        items: Sequence[Item],
        progress: Progress = no_progress,
    ) -> Iterator[Result]:
        """Run on Ray; see `Engine.map`."""
        if not items:
            return
        self.start()
        import ray

        cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        workers = min(self.workers or max(int(cluster.get("CPU", 1)), 1), len(items))
        gpus = cluster.get("GPU", 0) / workers if self.gpus is None else self.gpus
        # From items, not from a source that Ray reads: its readers would wait for processors that the actors hold.
        rows = ray.data.from_items([{"item": _Boxed(item)} for item in items], override_num_blocks=len(items))
        mapped = rows.map_batches(
            _Actor,
            fn_constructor_args=(make,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus or None,
        )
        try:
            for done, row in enumerate(mapped.iter_rows(), 1):
                _raise_again(row)
                progress(done, len(items))
                yield row["result"].value
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise StudyError(f"Ray lost the work: {why}; what was written is kept, so run it again") from error

    def start(self) -> None:
        """Connect to the cluster, or start one, quietly; nothing happens where that is done already."""
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MissingExtraError("ray", "ray", "the engine 'ray'", error) from error
        if ray.is_initialized():
            joined = ray.get_runtime_context().gcs_address
            if self.address not in (None, "auto", joined):
                raise StudyError(
                    f"expected Ray at {self.address}, but this process has joined that at {joined}; close that engine"
                )
            return
        # What Ray would draw and log belongs to no terminal of ours; nor does it phone home from somebody's study.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        here: dict[str, Any] = (
            {} if self.address else {"include_dashboard": False, "num_cpus": self.workers or _cores()}
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(address=self.address or "local", ignore_reinit_error=True, **quiet, **here)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            where = f"at {self.address}" if self.address else "on this machine"
            why = str(error).strip().splitlines()[0]
            raise StudyError(
                f"expected Ray {where}, found none that answers: {why}; start it, or leave --address out"
            ) from error
        self._started = True
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.verbose_progress = False
        for name in ("ray.data", "ray"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def close(self) -> None:
        """Let go of Ray if this engine started it, or joined it."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False


@dataclass(frozen=True)
class _Boxed:
    """Any value as one cell of a table: Ray Data would make columns of an array or a dict."""

    value: Any


class _Actor:
    """A worker in a process of Ray's."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._make = make
        self._worker: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        rows: dict[str, list[Any]] = {"result": [], "error": [], "message": []}
        for boxed in batch["item"]:
            result, error, message = None, "", ""
            try:
                self._worker = self._worker or self._make()
                result = self._worker(boxed.value)
            except BrainloopError as raised:  # as a value: Ray would wrap it, and begin the work again
                error, message = type(raised).__name__, str(raised)
            for name, value in (("result", _Boxed(result)), ("error", error), ("message", message)):
                rows[name].append(value)
        return rows


def _raise_again(row: dict[str, Any]) -> None:
    if not row["error"]:
        return
    kind = getattr(errors, row["error"], BrainloopError)
    again = kind.__new__(kind)  # some make their own message, which this one has already
    again.args = (row["message"],)
    raise again


ENGINES: dict[str, Callable[[str | None, int | None], Engine]] = {
    "local": lambda _, workers: LocalEngine(workers),
    "ray": lambda address, workers: RayEngine(address, workers),
}
"""The engines by name; each made of an address and a number of workers, or None for either."""


def make_engine(name: str = "local", address: str | None = None, workers: int | None = None) -> Engine:
    """Make an engine by its name.

    Raises
    ------
    SettingsError
        If there is no such engine, or it has no use for an address.
    """
    if name not in ENGINES:
        raise SettingsError(f"engine: expected one of {', '.join(ENGINES)}; {name!r} came")
    if address is not None and name != "ray":
        raise SettingsError(f"address: expected none with the engine {name!r}; {address!r} came; add --engine ray")
    return ENGINES[name](address, workers)


def _check(workers: int | None) -> None:
    if workers is not None and workers < 1:
        raise SettingsError(f"workers: expected 1 or more; {workers} came")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
