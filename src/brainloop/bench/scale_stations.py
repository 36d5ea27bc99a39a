"""Four stations on one PostgreSQL: looks lost, images leased twice, and how well the classifier learns.

Each station is a process that runs the study as `brainloop run --station` does, with a synthetic wearer whose EEG is
decoded. Every station is killed (SIGKILL) and started again, one of them only after its leases have run out; PostgreSQL
is restarted once. Beside the study each process writes what it was told: that its looks are stored, and when its blocks
began and ended; from that, and not from the store's own tables, lost looks and double leases are counted.
"""

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.bench.postgres import private_postgres
from brainloop.demo import write_digits
from brainloop.errors import BrainloopError
from brainloop.loop import run
from brainloop.observers.observer import Observer, make_observer
from brainloop.presentation.block import Block, Response
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study

__all__ = ["bench_stations"]

STATIONS = ("north", "east", "south", "west")

DEAD_S = 75.0
"""How long one station stays away: longer than a lease lasts."""

BLOTS = 30.0
"""Standard deviation of the blots, grey levels of 256."""

GRID = 100
"""Points, evenly spaced in looks, at which two curves of AUC are compared."""


def bench_stations(
    minutes: float = 20.0, *, seed: int = 1000, folder: Path | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Let four stations share a study, with kills and a restart; then one station alone, with the same four people.

    Parameters
    ----------
    minutes : float
        Of simulated work: how long each of the four would have looked, pauses between blocks included.
    seed : int
        Of the study, its people and the instants of the kills.
    folder : Path, optional
        Where it works; a temporary one by default.
    progress : Progress
        Called with (looks, looks wanted), of both studies.

    Returns
    -------
    dict
        Ready for JSON: ``looks``, ``looks_lost``, ``looks_doubled``, ``double_leases``, ``kills`` by station,
        ``restarts`` of PostgreSQL, ``auc_difference`` (mean over the curve, four stations less one), ``auc`` and
        ``auc_one`` (at the end), ``curve`` and ``curve_one`` ((looks, AUC) of each round), ``seconds`` of the four.
    """
    with TemporaryDirectory(prefix="brainloop-stations-", dir=folder) as temporary:
        work = Path(temporary)
        settings = _settings(_blotted_digits(work / "images", seed), minutes, seed)
        wanted = 2 * settings.max_looks
        with private_postgres(work / "postgres") as server:
            server.create("study")
            shared = replace(settings, store=server.url("study"))
            start = time.monotonic()
            kills, restarts = _work(work, shared, server, seed, lambda done: progress(done, wanted))
            seconds = time.monotonic() - start
            study = Study.open(work / STATIONS[0])
            looks, rounds = study.store.looks(), study.store.rounds()
            written = [_read(work / f"{name}.jsonl") for name in STATIONS]
            study.store.close()
        one = Study.create(work / "one", settings)
        turns = _Turns([make_observer(one, one.data(), station=name) for name in STATIONS])
        for done in run(one, turns):
            progress(settings.max_looks + done.looks, wanted)
        alone = one.store.rounds()
        one.store.close()
    stored = Counter(looks.source)
    acknowledged = {line["look"] for lines in written for line in lines if "look" in line}
    return {
        "stations": len(STATIONS),
        "minutes": minutes,
        "looks": len(looks.source),
        "looks_lost": len(acknowledged - stored.keys()),
        "looks_doubled": sum(stored.values()) - len(stored),
        "double_leases": _double_leases(written),
        "kills": kills,
        "restarts": restarts,
        "auc": rounds[-1].auc,
        "auc_one": alone[-1].auc,
        "auc_difference": _difference(rounds, alone),
        "curve": _curve(rounds),
        "curve_one": _curve(alone),
        "seconds": round(seconds, 1),
    }


def _blotted_digits(folder: Path, seed: int) -> Path:
    """Write digits under blots, so that the classifier has something to learn for as long as the stations look."""
    rng = np.random.default_rng(seed)
    for path in sorted(write_digits(folder).glob("*/*.png")):
        with Image.open(path) as image:
            ink = np.asarray(image.convert("L"), dtype=np.float32)
        blots = Image.fromarray(rng.normal(0, BLOTS, (16, 16)).astype(np.float32))
        blotted = 128 + (ink - 128) / 2 + np.asarray(blots.resize(ink.shape[::-1], Image.Resampling.BILINEAR))
        Image.fromarray(blotted.clip(0, 255).astype(np.uint8)).save(path)
    return folder


def _settings(images: Path, minutes: float, seed: int) -> Settings:
    """Make settings of a study that does not end by being sure, with as many looks as the stations have time for."""
    common = Settings(
        images=str(images), target="8", decoder="xdawn_lda", confidence_threshold=1.0, looks_per_round=100, seed=seed
    )
    block_s = common.block_size * 0.2 + common.pause
    return replace(common, max_looks=round(len(STATIONS) * minutes * 60 / block_s) * common.block_size)


class _Turns:
    """Several people at one station, a block each in turn."""

    def __init__(self, people: Sequence[Observer]) -> None:
        self._people = people
        self.soa = people[0].soa
        self.facts = people[0].facts | {"recordings": [about for one in people for about in one.facts["recordings"]]}

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        return self._people[block.number % len(self._people)].respond(block, start)

    def recall(self, blocks: Sequence[Block]) -> None:
        pass

    def erps(self) -> Mapping[str, Any]:
        return {}


class _Noted:
    """An observer who writes down when each block began and ended, and every look once it is stored."""

    def __init__(self, observer: Observer, ids: Sequence[int], file: Any) -> None:
        self._observer, self._ids, self._file = observer, ids, file
        self.soa, self.facts = observer.soa, observer.facts

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        images = [self._ids[row] for row in block.images[start:]]
        self._note(block=block.number, images=images, t=time.monotonic())
        for response in self._observer.respond(block, start):
            yield response
            self._note(look=response.source)  # it was asked for the next, so this one is stored
        self._note(over=block.number, t=time.monotonic())

    def recall(self, blocks: Sequence[Block]) -> None:
        self._observer.recall(blocks)

    def erps(self) -> Mapping[str, Any]:
        return self._observer.erps()

    def _note(self, **said: Any) -> None:
        self._file.write(json.dumps(said).encode() + b"\n")  # unbuffered: a kill takes at most the line being written


def _station(folder: Path, name: str, settings: Settings, written: Path) -> None:
    """Be a station: join the study, if that has not been done, and run it to its end."""
    if not (folder / "study.toml").exists():
        Study.join(folder, settings.store or "", images=settings.images)
    study = Study.open(folder)
    data = study.data()
    with written.open("ab", buffering=0) as file:
        observer = _Noted(make_observer(study, data, station=name), data.ids.tolist(), file)
        for _ in run(study, observer, station=name):
            pass


def _work(work: Path, settings: Settings, server: Any, seed: int, told: Any) -> tuple[dict[str, int], int]:
    """Run the stations to the study's end; kill each once, one for longer than a lease, and restart the server."""
    processes = multiprocessing.get_context("spawn")
    rng = np.random.default_rng(seed)
    first = Study.create(work / STATIONS[0], settings)
    running: dict[str, Any] = {}

    def start(name: str) -> None:
        arguments = (work / name, name, settings, work / f"{name}.jsonl")
        running[name] = processes.Process(target=_station, args=arguments, daemon=True)
        running[name].start()

    for name in STATIONS:
        start(name)
    # What happens when, in shares of all looks: a kill each, the restart, and one kill more in the midst of a restart.
    marks = sorted(rng.uniform(0.08, 0.7, len(STATIONS)))
    events: list[tuple[float, str]] = [*zip(marks, rng.permutation(STATIONS).tolist(), strict=True), (0.35, "server")]
    events.sort()
    kills, restarts = dict.fromkeys(STATIONS, 0), 0
    back_at: dict[str, float] = {}
    absent = events[-1][1] if events[-1][1] != "server" else events[-2][1]
    while any(process.is_alive() for process in running.values()) or back_at:
        time.sleep(0.5)
        for name in [name for name, when in back_at.items() if time.monotonic() >= when]:
            del back_at[name]
            start(name)
        done = _count(work)
        told(min(done, settings.max_looks))
        while events and done >= events[0][0] * settings.max_looks:
            _, what = events.pop(0)
            if what == "server":
                server.restart("immediate")
                restarts += 1
                continue
            os.kill(running[what].pid, signal.SIGKILL)
            running[what].join()
            _write_end(work / f"{what}.jsonl")
            kills[what] += 1
            back_at[what] = time.monotonic() + (DEAD_S if what == absent else 0.0)
    failed = [name for name, process in running.items() if process.exitcode != 0]
    if failed:
        raise BrainloopError(
            f"expected every station to come to the study's end; {', '.join(failed)} did not, see above"
        )
    first.store.close()
    return kills, restarts


def _count(work: Path) -> int:
    """Count the looks that stations were told are stored."""
    return sum(path.read_bytes().count(b'"look"') for path in work.glob("*.jsonl"))


def _write_end(path: Path) -> None:
    """Write down that a station was killed, on a line of its own, whatever it was about to write."""
    with path.open("ab") as file:
        file.write(b"\n" + json.dumps({"killed": True, "t": time.monotonic()}).encode() + b"\n")


def _read(path: Path) -> list[dict[str, Any]]:
    """Read what a station wrote, but for a line that a kill has cut."""
    said = []
    for line in path.read_bytes().splitlines():
        try:
            said.append(json.loads(line))
        except ValueError:
            continue
    return said


def _double_leases(written: Sequence[Sequence[Mapping[str, Any]]]) -> int:
    """Count the pairs of stations and images of which one looked at the image while the other did.

    A station looks at a block's images from its beginning to its end, or until it is killed.
    """
    spans: dict[int, list[tuple[float, float, int]]] = {}
    for station, lines in enumerate(written):
        begun: dict[int, tuple[float, Sequence[int]]] = {}
        for line in lines:
            if "images" in line:
                begun[line["block"]] = line["t"], line["images"]
            ended = [line["over"]] if "over" in line else list(begun) if "killed" in line else []
            for block in ended:
                start, images = begun.pop(block)
                for image in images:
                    spans.setdefault(image, []).append((start, line["t"], station))
    doubled = 0
    for each in spans.values():
        each.sort()
        for number, (_, end, station) in enumerate(each):
            doubled += sum(start < end and other != station for start, _, other in each[number + 1 :])
    return doubled


def _curve(rounds: Sequence[Round]) -> list[tuple[int, float]]:
    return [(one.looks, round(one.auc, 5)) for one in rounds if one.auc is not None]


def _difference(ours: Sequence[Round], other: Sequence[Round]) -> float:
    """Compare two curves of AUC over looks, at points that both have: the mean of the first less the second."""
    a, b = (np.array(_curve(rounds), dtype=float) for rounds in (ours, other))
    at: FloatArray = np.linspace(max(a[0, 0], b[0, 0]), min(a[-1, 0], b[-1, 0]), GRID)
    return float(np.mean(np.interp(at, a[:, 0], a[:, 1]) - np.interp(at, b[:, 0], b[:, 1])))
