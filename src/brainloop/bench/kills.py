"""What is left of a study whose process is killed again and again."""

import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.demo import write_digits
from brainloop.errors import BrainloopError
from brainloop.loop import run
from brainloop.settings import Settings
from brainloop.study import Study

__all__ = ["bench_kills"]


def bench_kills(kills: int = 200, *, seed: int = 0, progress: Progress = no_progress) -> dict[str, Any]:
    """Kill a study's process (SIGKILL) at random instants and compare what comes out with an undisturbed run.

    A study is made, embedded and run by a process that is killed at an instant drawn evenly from the time that an
    undisturbed run takes; then it is started again. When one study is over the next begins, until there were enough
    kills. Each process tells through a pipe how many responses it has committed, so that a response that was
    acknowledged and is gone after the kill would be seen.

    Parameters
    ----------
    kills : int
        How many kills of a living process.
    seed : int
        Of the study and of the instants.
    progress : Progress
        Called with (kills, kills wanted).

    Returns
    -------
    dict
        Ready for JSON: kills by what they interrupted, studies brought to their end, responses in all; `lost` and
        `doubled` responses and `different_ends` (heads or responses that are not bit for bit those of the
        undisturbed run), which must all be 0.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["brainloop.bench.kills", "brainloop.observers.simulated", "sklearn.linear_model"])
    rng = np.random.default_rng(seed)
    interrupted: Counter[str] = Counter()
    studies = responses = lost = doubled = different = 0
    with tempfile.TemporaryDirectory(prefix="brainloop-kills-") as temporary:
        work = Path(temporary)
        settings = Settings(
            str(write_digits(work / "images")), "3", observer="simulated", decoder="lda", prevalence=0.25,
            looks_per_round=40, block_size=20, max_looks=160, seed=seed,
        )  # fmt: skip
        for warm in (True, False):  # the first run starts the server that the others are forked from
            start = time.monotonic()
            process, _pipe = _start(processes, work / f"undisturbed-{warm}", settings)
            process.join()
            lasts = time.monotonic() - start
        reference = _outcome(work / "undisturbed-False")
        folder, acknowledged, stored = work / "study-0", 0, 0
        while interrupted.total() < kills or stored:
            process, pipe = _start(processes, folder, settings)
            process.join(rng.uniform(0, lasts) if interrupted.total() < kills else None)
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
            with suppress(EOFError):
                while pipe.poll():
                    acknowledged = max(acknowledged, pipe.recv())
            seen = _presentations(folder)
            lost += max(0, acknowledged - len(seen), stored - len(seen))
            doubled += len(seen) - len(set(seen))
            stored = len(seen)
            if process.exitcode == -signal.SIGKILL:
                interrupted[_phase(folder, stored)] += 1
                progress(interrupted.total(), kills)
            elif process.exitcode == 0:
                studies, responses = studies + 1, responses + stored
                different += _outcome(folder) != reference
                folder, acknowledged, stored = work / f"study-{studies}", 0, 0
            else:
                raise BrainloopError(
                    f"expected the study to go on after a kill; it ended with {process.exitcode}, see above"
                )
    return {
        "kills": interrupted.total(),
        "interrupted": dict(interrupted),
        "undisturbed_s": round(lasts, 2),
        "studies": studies,
        "responses": responses,
        "lost": lost,
        "doubled": doubled,
        "different_ends": different,
    }


def _start(processes: Any, folder: Path, settings: Settings) -> tuple[Any, Connection]:
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=_live, args=(folder, settings, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _live(folder: Path, settings: Settings, pipe: Connection) -> None:
    """Be the process: make the study where it is not yet, and run it to its end."""
    study = Study.open(folder) if (folder / "study.toml").exists() else Study.create(folder, settings)
    before = 0

    def acknowledge(done: int, _total: int) -> None:
        pipe.send(before + done)

    rounds = study.store.rounds()
    before = rounds[-1].looks if rounds else 0
    for measures in run(study, progress=acknowledge):
        before = measures.looks


def _presentations(folder: Path) -> list[tuple[int, int]]:
    """List (block, place in the order of answers) of every stored response; none where there is no study yet."""
    if not (folder / "study.toml").exists():
        return []
    looks = Study.open(folder).store.looks()
    return list(zip(looks.block.tolist(), looks.position.tolist(), strict=True))


def _outcome(folder: Path) -> tuple[bytes, ...]:
    """Everything that a study came to, but for what the clock measured, as bytes to compare."""
    study = Study.open(folder)
    looks, head = study.store.looks(), study.head()
    rounds = [(r.number, r.looks, r.images, r.viewing_s, r.unsure, r.auc, r.converged) for r in study.store.rounds()]
    arrays = (looks.image, looks.score, looks.evidence, looks.block, head.weight, np.array([head.bias, head.penalty]))
    return (*(array.tobytes() for array in arrays), repr(rounds).encode())


def _phase(folder: Path, stored: int) -> str:
    if not (folder / "study.toml").exists():
        return "making the study"
    return "looking" if stored else "embedding and calibrating"
