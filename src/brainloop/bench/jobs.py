"""Jobs of a bench, on as many processes as there are cores."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from brainloop._types import Progress, no_progress
from brainloop.images.embeddings import default_workers

__all__ = ["run_jobs"]

Result = TypeVar("Result")


def run_jobs(
    work: Callable[..., Result],
    shared: Any,
    jobs: Sequence[tuple[Any, ...]],
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> list[Result]:
    """Do every job, and give what each came to, in their order; it does not depend on the number of processes.

    Processes are spawned, so a script that calls this needs ``if __name__ == "__main__":`` around it.

    Parameters
    ----------
    work : callable
        At the top of a module; called with `shared` and a job's values.
    shared : object
        What all jobs need; it is sent to each process once.
    jobs : sequence of tuple
        The values of each job.
    workers : int, optional
        Processes; with 1, all is done in this one. As many as there are cores by default.
    progress : Progress
        Called with (jobs done, jobs).
    """
    workers = min(default_workers() if workers is None else workers, len(jobs))
    progress(0, len(jobs))
    if workers <= 1:
        with threadpool_limits(1):
            return [_counted(work(shared, *job), progress, done, len(jobs)) for done, job in enumerate(jobs, start=1)]
    context = get_context("spawn")  # a fork would copy ONNX Runtime's threads half-alive
    processes = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(work, shared))
    try:
        waiting = {processes.submit(_work, *job): number for number, job in enumerate(jobs)}
        found = {
            waiting[future]: _counted(future.result(), progress, done, len(jobs))
            for done, future in enumerate(as_completed(waiting), start=1)
        }
    finally:
        processes.shutdown(cancel_futures=True)
    return [found[number] for number in range(len(jobs))]


_shipped: tuple[Callable[..., Any], Any]


def _begin(work: Callable[..., Any], shared: Any) -> None:
    global _shipped
    _shipped = work, shared
    threadpool_limits(1)  # each core has a process of its own


def _work(*job: Any) -> Any:
    work, shared = _shipped
    return work(shared, *job)


def _counted(result: Result, progress: Progress, done: int, total: int) -> Result:
    progress(done, total)
    return result
