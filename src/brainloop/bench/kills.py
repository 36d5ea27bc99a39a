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

from brainloop._files import load_tensors
from brainloop._types import Progress, no_progress
from brainloop.demo import write_digits
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import BrainloopError
from brainloop.loop import run
from brainloop.settings import Settings
from brainloop.study import Study

__all__ = ["bench_kills"]


def bench_kills(kills: int = 200, *, seed: int = 0, progress: Progress = no_progress) -> dict[str, Any]:
    """Kill a study's process (SIGKILL) at random instants and compare what comes out with an undisturbed run.

    A study is made, embedded and run by a process that is killed at an instant drawn evenly from the time that an
    undisturbed run takes; then it is started again. When one study is over the next begins, until there were enough
    kills: a simulated observer and a replayed recording (of the synthetic wearer, written as FIF) take turns. Each
    process tells through a pipe how many responses it has committed, so that a response that was acknowledged and is
    gone after the kill would be seen.

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
    preload = ["bench.kills", "observers.replay", "observers.simulated"]
    processes.set_forkserver_preload([f"brainloop.{name}" for name in preload] + ["mne", "sklearn.linear_model"])
    rng = np.random.default_rng(seed)
    interrupted: Counter[str] = Counter()
    studies = responses = lost = doubled = different = 0
    with tempfile.TemporaryDirectory(prefix="brainloop-kills-") as temporary:
        work = Path(temporary)
        common: dict[str, Any] = {
            "images": write_digits(work / "images"), "target": "3", "decoder": "lda", "prevalence": 0.25,
            "looks_per_round": 40, "block_size": 20, "max_looks": 160, "seed": seed,
        }  # fmt: skip
        recording = _write_recording(work / "recording", seed)
        kinds = [Settings(**common), Settings(**common, recordings=(str(recording),), difficulty=0.5)]
        lasts, references = [], []
        for number, settings in enumerate(kinds):
            for warm in (True, False):  # the first run starts the server that the others are forked from
                start = time.monotonic()
                process, _pipe = _start(processes, work / f"undisturbed-{number}-{warm}", settings)
                process.join()
                taken = time.monotonic() - start
            lasts.append(taken)
            references.append(_outcome(work / f"undisturbed-{number}-False"))
        folder, acknowledged, stored, kind = work / "study-0", 0, 0, 0
        while interrupted.total() < kills or stored:
            process, pipe = _start(processes, folder, kinds[kind])
            process.join(rng.uniform(0, lasts[kind]) if interrupted.total() < kills else None)
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
                different += _outcome(folder) != references[kind]
                folder, acknowledged, stored, kind = work / f"study-{studies}", 0, 0, studies % 2
            else:
                raise BrainloopError(
                    f"expected the study to go on after a kill; it ended with {process.exitcode}, see above"
                )
    return {
        "kills": interrupted.total(),
        "interrupted": dict(interrupted),
        "undisturbed_s": [round(taken, 2) for taken in lasts],
        "studies": studies,
        "responses": responses,
        "lost": lost,
        "doubled": doubled,
        "different_ends": different,
    }


def _write_recording(folder: Path, seed: int) -> Path:
    """Write a session of the synthetic wearer, a FIF file a run."""
    import mne

    folder.mkdir()
    session = SyntheticWearer(seed).calibration(600)
    names = np.array(["nontarget", "target"])
    for number, run_ in enumerate(session.runs, start=1):
        info = mne.create_info(list(session.channels), session.sfreq, "eeg")
        raw = mne.io.RawArray(run_.data, info, verbose="error")
        onsets = run_.onsets - run_.times[0]
        raw.set_annotations(mne.Annotations(onsets, np.zeros(onsets.size), names[run_.is_target.astype(int)]))
        raw.save(folder / f"sub-01_task-calibration_run-{number:02d}_eeg.fif", verbose="error")
    return folder


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
    looks, last = study.store.looks(), study.store.rounds()[-1].number
    rounds = [(r.number, r.looks, r.images, r.viewing_s, r.unsure, r.auc, r.converged) for r in study.store.rounds()]
    arrays = (looks.image, looks.score, looks.evidence, looks.block)
    tensors, words = load_tensors(study.models.path(f"head-{last:03d}"))  # in the file their order is left to chance
    head = [tensors[name].tobytes() for name in sorted(tensors)]
    return (*(array.tobytes() for array in arrays), *head, repr((sorted(words.items()), rounds)).encode())


def _phase(folder: Path, stored: int) -> str:
    if not (folder / "study.toml").exists():
        return "making the study"
    return "looking" if stored else "embedding and calibrating"
