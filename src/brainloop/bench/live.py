"""What the live path costs: frames, clocks, samples, markers, milliseconds and AUC, with real parts throughout.

A studio, a synthetic wearer who publishes by LSL, and Chromium, headless, are processes of their own; a training runs
beside them at low priority all the time. The wearer learns of an image only by the marker of its presentation.
"""

import csv
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, Progress, no_progress
from brainloop.bench.browser import Page, chromium, open_browser, studio_process, wearer_process
from brainloop.bench.machine import machine
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.files import load_decoder
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.lsl import quiet_liblsl
from brainloop.eeg.preparation import Preparation
from brainloop.eeg.recorder import Session, read_session
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.errors import BrainloopError
from brainloop.observers.keys import ReactionModel
from brainloop.observers.presser import Presser
from brainloop.presentation.schedule import drift
from brainloop.studio.stage import marker_source

__all__ = ["bench_live"]

SOA = 0.1
N_IMAGES, PREVALENCE = 700, 0.06
"""In the pool and test part, and the share of targets. Rare: at 10 Hz a target within half a second of another is
missed by the attentional blink, which no decoder makes up for."""

LOOKED = 120
"""How long the wearer calibrates, s."""

P300 = 30.0
"""Amplitude of the wearer's P300, microvolts: it gave single-trial AUCs of .92 and .98 in two runs of 300 images."""

GALLERY = 10_000


def bench_live(
    *, presentations: int = 300, gallery: int = GALLERY, seed: int = 0, progress: Progress = no_progress
) -> dict[str, Any]:
    """Measure a sitting at 10 images a second with 64 channels at 512 Hz.

    Parameters
    ----------
    presentations : int
        In the block that is measured.
    gallery : int
        Images of the study whose gallery is scrolled.
    seed : int
        Of wearer, images and key presses.
    progress : Progress
        Called with (steps done, steps).

    Returns
    -------
    dict
        Ready for JSON.
    """
    quiet_liblsl()
    steps = iter(range(1, 6))

    def step() -> None:
        progress(next(steps), 5)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images = root / "photographs"
        write_images(images, N_IMAGES, seed)
        progress(0, 5)
        usable = first_page(root / "first")
        scroll = _scrolled(root / "gallery", gallery, seed)
        step()
        live = _sitting(root / "live", images, presentations, seed)
        step()
        silent = _sitting(root / "silent", images, presentations, seed, "--no-response")
        step()
        keyboard = keyboard_auc(range(20))
        step()
    figures = {name: live[name] for name in _FIGURES}
    figures["auc"] = live["auc"] | {"keyboard": keyboard["mean"], "no_response": silent["auc"]["live"]}
    figures["auc_interval"] = live["auc_interval"] | {
        "no_response": silent["auc_interval"]["live"], "keyboard_sd": keyboard["sd"]
    }  # fmt: skip
    figures["usable_after_s"] = usable
    figures |= {"keyboard_model": keyboard["model"], "gallery": scroll, "presentations": presentations, "seed": seed}
    step()
    return figures | {"machine": machine()}


_FIGURES = (
    "late_share", "drift_frames", "clock_error_ms", "samples_lost", "markers_lost", "evidence_latency_ms",
    "calibration",
)  # fmt: skip


def first_page(home: Path, turns: int = 3) -> float:
    """Give the median time from the command to a page that can be used, s, in a browser that is open already."""
    home.mkdir()
    times = []
    for _ in range(turns):
        with chromium() as page, studio_process(home) as studio:
            times.append(Page(page, studio).usable_after)
    return float(np.median(times))


def write_images(folder: Path, n: int, seed: int, share: float = PREVALENCE) -> None:
    """Write small photographs-to-be, noise in colour, into the class folders `target` and `other`."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    for number in range(n):
        label = "target" if number < round(share * n) else "other"
        (folder / label).mkdir(parents=True, exist_ok=True)
        grain = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(grain).resize((320, 240), Image.Resampling.BICUBIC).save(folder / label / f"{number:05d}.jpg")


def _sitting(home: Path, images: Path, presentations: int, seed: int, *wearer: str) -> dict[str, Any]:
    """Calibrate and watch one round, and measure."""
    home.mkdir()
    source = f"brainloop-bench-{seed}-{home.name}"
    markers = marker_source(home)
    arguments = (
        "--channels",
        "64",
        "--rate",
        "512",
        "--seed",
        str(seed),
        "--p300",
        str(P300),
        "--misses",
        "0",
        *wearer,
    )
    with (
        studio_process(home) as studio,
        wearer_process("target", source, "--markers", markers, *arguments),
        open_browser(studio) as page,
        _trainer(),
    ):
        page.post(
            "study/create", name="study", images=str(images), target="target", soa=SOA, block_size=presentations,
            looks_per_round=presentations, max_looks=presentations, pause=3.0, seed=seed,
        )  # fmt: skip
        page.post("headset/connect", id=f"lsl:{source}")
        page.post("person", name="ada", consent=True, no_epilepsy=True)
        page.post("calibrate/start")
        page.look()
        while _looked(page) < LOOKED:
            page.page.wait_for_timeout(500)
        page.post("calibrate/stop")
        calibration = page.wait()["calibration"]
        if calibration is None:
            raise BrainloopError(f"the calibration came to nothing: {page.get('state')['notice']}")
        page.page.reload()
        page.post("calibrate/accept", anyway=True)
        with _Listener(markers) as listener:
            page.post("watch/start")
            page.look()
            page.wait()
            shown = listener.presentations
        truth_offset = page.monotonic_offset()
        folder = home / "study"
        calibrated, watched = sorted((folder / "people" / "ada").glob("*/meta.json"))
        sessions = [read_session(path.parent) for path in (calibrated, watched)]
        figures = _timing(sessions, truth_offset, presentations)
        figures["markers_lost"] = presentations - shown
        figures["calibration"] = {name: calibration[name] for name in ("auc", "low", "high", "seconds", "targets")}
        figures |= _aucs(folder, watched.parent.name, sessions[1], root=home)
        return figures


def _looked(page: Page) -> float:
    """Say for how long the person has calibrated, s."""
    progress = page.get("state")["progress"]
    return float(progress["done"]) if progress and progress["what"] == "calibrating" else 0.0


class _Listener:
    """A lab's own recorder: counts the presentations on the marker stream."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.presentations = 0
        self._ended, self._ready = Event(), Event()
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "_Listener":
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _listen(self) -> None:
        import pylsl

        found = pylsl.resolve_byprop("source_id", self._source, timeout=5)
        inlet = pylsl.StreamInlet(found[0])
        inlet.open_stream(5)
        self._ready.set()
        while not self._ended.is_set():
            sample, _ = inlet.pull_sample(timeout=0.2)
            if sample:
                self.presentations += json.loads(sample[0])["event"] == "presentation"


@contextmanager
def _trainer() -> Iterator[None]:
    """Train decoders beside everything else, at the studio's low priority, again and again."""
    process = get_context("spawn").Process(target=_train, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _train() -> None:
    import os

    from brainloop.decoder.decoder import BrainDecoder
    from brainloop.studio.work import NICENESS

    os.nice(NICENESS)
    rng = np.random.default_rng(0)
    X, y = 1e-5 * rng.standard_normal((600, 8, 56)), rng.random(600) < 0.15
    while True:
        BrainDecoder(random_state=0).fit(X, y, onsets=0.2 * np.arange(600))


def _timing(sessions: Sequence[Session], truth_offset: float, presentations: int) -> dict[str, Any]:
    """Say how well presentations, clocks and samples kept their time."""
    watched = sessions[-1]
    shown = _of(watched, "presentation")
    refresh = 1 / float(np.median([event["next"] - event["t"] for event in shown if event["flaw"] != "missed"]))
    planned_soa = round(SOA * refresh) / refresh
    onsets = np.array([event["t"] for event in shown])
    errors = [1e3 * abs(event["offset"] - truth_offset) for session in sessions for event in _of(session, "clock")]
    waited = [1e3 * event["waited"] for event in _of(watched, "response") if event["waited"] is not None]
    return {
        "late_share": sum(event["flaw"] is not None for event in shown) / presentations,
        "drift_frames": drift(onsets, planned_soa, refresh),
        "clock_error_ms": {"median": float(np.median(errors)), "max": max(errors), "blocks": len(errors)},
        "samples_lost": sum(_lost(session) for session in sessions),
        "evidence_latency_ms": {
            "p50": float(np.quantile(waited, 0.5)), "p99": float(np.quantile(waited, 0.99)), "n": len(waited)
        },
    }  # fmt: skip


def _of(session: Session, kind: str) -> list[dict[str, Any]]:
    return [event for event in session.events if event["event"] == kind]


def _lost(session: Session) -> int:
    """Count the samples that are missing between the first and the last."""
    assert session.info is not None  # noqa: S101
    length = float(session.times[-1] - session.times[0])
    return round(length * session.info.sfreq) + 1 - len(session.times)


def _aucs(folder: Path, name: str, watched: Session, root: Path) -> dict[str, Any]:
    """Compare the evidence that was stored live with that of the same decoder on the BIDS recording of the sitting."""
    shown = {(event["block"], event["position"]): event for event in _of(watched, "presentation")}
    live = {(event["block"], event["position"]): event["evidence"] for event in _of(watched, "response")}
    truth: BoolArray = np.array([shown[key]["image"].startswith("target/") for key in live])
    recording = root / "offline" / f"sub-ada/ses-{name}/eeg"
    recording.parent.mkdir(parents=True)
    source = folder / "recordings" / f"sub-ada/ses-{name}/eeg"
    source.rename(recording)
    for table in recording.glob("*_events.tsv"):
        _tell_classes(table)
    about = json.loads((folder / "people" / "ada" / "preparation.json").read_text(encoding="utf-8"))
    matrix = np.array(about["matrix"])
    preparation = Preparation(tuple(about["inputs"]), tuple(about["outputs"]), matrix)
    trials = epoch_recording(read_recordings([recording], preparation=preparation)[0], Signal())
    decoder = load_decoder(folder / "people" / "ada" / "decoder.safetensors")
    offline = np.zeros(len(trials.usable))
    offline[trials.usable] = decoder.evidence(trials.data[trials.usable])
    aucs = {
        "offline": auc_interval(trials.is_target, offline),
        "live": auc_interval(truth, np.array(list(live.values()))),
    }
    return {
        "auc": {name: auc.value for name, auc in aucs.items()},
        "auc_interval": {name: [auc.low, auc.high] for name, auc in aucs.items()},
    }


def _tell_classes(table: Path) -> None:
    """Write into a BIDS table of events which presentations were targets: the study did not know."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        if row["trial_type"] in ("presentation", "flawed"):
            row["trial_type"] = "target" if row["image"].startswith("target/") else "nontarget"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def keyboard_auc(seeds: Sequence[int]) -> dict[str, Any]:
    """Measure the key's evidence at 5 Hz: 2 minutes of calibration, then ten blocks of 50, for each synthetic person.

    Parameters
    ----------
    seeds : sequence of int
        One person each.

    Returns
    -------
    dict
        Mean and SD of the AUC over people, and the parameters of their presses.
    """
    aucs = [_keyboard(seed) for seed in seeds]
    return {"mean": float(np.mean(aucs)), "sd": float(np.std(aucs, ddof=1)), "model": Presser(0).parameters}


def _keyboard(seed: int) -> float:
    presser, rng = Presser(seed=seed), np.random.default_rng([seed, 9])
    onsets: FloatArray = np.arange(50) * 0.2
    classes = [rng.permutation(np.arange(50) < 6) for _ in range(22)]
    presses = [presser.press(onsets, is_target, block=k) for k, is_target in enumerate(classes)]
    model = ReactionModel.fit([onsets] * 12, classes[:12], presses[:12])
    evidence = [model.evidence(onsets, pressed) for pressed in presses[12:]]
    return auc_interval(np.concatenate(classes[12:]), np.concatenate(evidence), n_resamples=200).value


def _scrolled(home: Path, n: int, seed: int) -> dict[str, Any]:
    """Scroll through a gallery from end to end, and give the longest time between two frames."""
    home.mkdir()
    images = home / "photographs"
    write_images(images, n, seed)
    with studio_process(home) as studio, open_browser(studio) as page:
        page.post("study/create", name="study", images=str(images), target="target", seed=seed)
        while page.get("state")["progress"] is not None:
            page.page.wait_for_timeout(500)
        page.page.goto(f"{studio.base}/#results")
        page.page.get_by_role("tab", name="Images").or_(page.page.get_by_role("button", name="Images")).click()
        page.page.locator("[role=listbox] [role=option]").first.wait_for()
        page.page.wait_for_timeout(2000)
        steps = page.page.evaluate(SCROLL)
    return {"images": n, "longest_frame_ms": max(steps), "p99_frame_ms": float(np.quantile(steps, 0.99))}


SCROLL = """() => new Promise((resolve) => {
  const box = document.querySelector("[role=listbox]"), steps = [];
  let last = performance.now();
  requestAnimationFrame(function step(now) {
    steps.push(now - last); last = now;
    box.scrollTop += box.clientHeight / 4;
    if (box.scrollTop + box.clientHeight < box.scrollHeight - 1 && steps.length < 1500) requestAnimationFrame(step);
    else resolve(steps.slice(2));
  });
})"""
