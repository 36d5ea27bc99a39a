"""A raw recording as part of a BIDS data set (BrainVision), which every EEG program reads."""

import json
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brainloop._files import write_whole
from brainloop._types import FloatArray, IntArray
from brainloop.eeg.headset import HeadsetInfo
from brainloop.eeg.recorder import Session, read_session
from brainloop.eeg.source import is_eye
from brainloop.errors import SettingsError

__all__ = ["export_bids", "is_exported"]

GAP = "BAD_ACQ_SKIP"
"""MNE's word for a time without samples: its filters leave it out by themselves, and so do our readers."""

MOST_FILLED = 60.0
"""Longest gap that keeps its length in the file, s: a clock that jumped by a year must not fill the disk."""

KINDS = ("presentation", "press")
"""Events of a recording that go into the table."""

COLUMNS = {
    "onset": "When it happened, on the grid of the file's samples",
    "duration": "How long it took",
    "trial_type": "target, nontarget or presentation (of unknown class); flawed: late, missed or interrupted; press; "
    f"{GAP}: no samples",
    "sample": "The same onset as a number of samples, from 0",
    "time": "When it happened on the clock of the recording, exactly",
    "image": "What was shown",
    "block": "Number of the block",
    "position": "Of the presentation in its block, from 0",
    "flaw": "Why a presentation is flawed",
    "looked_for": "What the person looked for in this block",
    "evidence": "Log-likelihood ratio of the response to this presentation, as it was decoded at the time: of an image "
    "that is what was looked for, to one that is not; 0 where it was rejected, n/a where none was decoded",
    "rejected": "Why the response was rejected, and says nothing",
}
"""Columns of the table of events, with what they hold."""

UNITS = {"onset": "s", "duration": "s", "time": "s", "evidence": "nat"}

SAID = ("image", "block", "position", "flaw", "looked_for", "evidence", "rejected")
"""Columns that stand in the raw recording under the same names: the last two in its responses."""

README = """Recordings made by brainloop: images flash by, one at a time, and a person looks for targets among them.

Every session is continuous EEG in BrainVision format, as the headset sent it, without any filter. Times without samples
are NaN, and events of type BAD_ACQ_SKIP in `*_events.tsv`, which tells of every presentation and key press, and of what
the response to a presentation said at the time: its evidence, in nats. Sessions without a headset have events only,
under `beh`.
"""


class _Row(NamedTuple):
    """A row of the table of events."""

    onset: float
    duration: float | None
    kind: str
    sample: int | None
    time: float
    said: Mapping[str, Any]  # the columns of SAID


def export_bids(session_folder: Path, root: Path, *, person: str, session: str) -> Path:
    """Write a raw recording into a BIDS data set, in the place of what it holds of that session.

    Samples stay as they are, in microvolts; they lie on a grid of the nominal rate, whose gaps are NaN. An onset goes
    to the sample nearest to it by their timestamps, as `brainloop.eeg.epochs.Epocher` does it live: a clock that runs a
    little off its nominal rate moves no epoch.

    Parameters
    ----------
    session_folder : Path
        As a `brainloop.eeg.recorder.Recorder` wrote it.
    root : Path
        Of the data set, made where there is none.
    person, session : str
        Letters and digits.

    Returns
    -------
    Path
        The header of the recording (`.vhdr`); the table of events where there are no samples.

    Raises
    ------
    SettingsError
        If a name is not of letters and digits.
    RecordingError
        If there is no recording in the folder.
    """
    final = _folder(root, person, session)
    recorded = read_session(session_folder)
    phase = str(recorded.about.get("phase", ""))
    stem = f"sub-{person}_ses-{session}_task-{phase if _is_label(phase) else 'rsvp'}"
    _describe_dataset(root, person)
    # Written beside and then renamed: a kill leaves all of it or nothing.
    partial = root / f".partial-{person}-{session}"
    shutil.rmtree(partial, ignore_errors=True)
    if recorded.info is not None and len(recorded.times):
        name = f"eeg/{stem}_eeg.vhdr"
        _write_eeg(partial / "eeg", stem, recorded, recorded.info)
    else:
        name = f"beh/{stem}_events.tsv"
        events = _told(recorded.events)
        start = min((float(event["t"]) for event in events), default=0.0)
        (partial / "beh").mkdir(parents=True)
        _write_events(partial / "beh", stem, [_row(event, float(event["t"]) - start) for event in events])
    final.parent.mkdir(exist_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    return final / name


def is_exported(session_folder: Path, root: Path, *, person: str, session: str) -> bool:
    """Whether a BIDS data set holds all of a raw recording: one that has been written to since is not exported.

    Raises
    ------
    SettingsError
        If a name is not of letters and digits.
    """
    return _newest(_folder(root, person, session)) >= _newest(session_folder)


def _newest(folder: Path) -> float:
    """Give when a file below a folder was written last; 0 where there is none."""
    return max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)


def _folder(root: Path, person: str, session: str) -> Path:
    for what, name in (("person", person), ("session", session)):
        if not _is_label(name):
            raise SettingsError(f"expected the name of a {what} in letters and digits, as BIDS wants it, got {name!r}")
    return root / f"sub-{person}" / f"ses-{session}"


def _is_label(name: str) -> bool:
    return name.isascii() and name.isalnum()


def _describe_dataset(root: Path, person: str) -> None:
    """Write what a data set must say of itself, and add the person to its table."""
    root.mkdir(parents=True, exist_ok=True)
    description = root / "dataset_description.json"
    if not description.exists():
        said = {
            "Name": "brainloop recordings", "BIDSVersion": "1.9.0", "DatasetType": "raw",
            "GeneratedBy": [{"Name": "brainloop", "Version": version("brainloop")}],
        }  # fmt: skip
        write_whole(description, json.dumps(said, indent=1).encode())
        write_whole(root / "README", README.encode())
    table = root / "participants.tsv"
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else ["participant_id"]
    if f"sub-{person}" not in lines:
        write_whole(table, "\n".join([*lines, f"sub-{person}", ""]).encode())


def _write_eeg(folder: Path, stem: str, recorded: Session, info: HeadsetInfo) -> None:
    """Write samples, their description and their events."""
    import pybv

    names = [*info.channels, *info.aux]
    eeg = [name in info.channels for name in names]
    places = _grid(recorded.times, info.sfreq)
    data: NDArray[np.float32] = np.full((len(names), int(places[-1]) + 1), np.nan, dtype=np.float32)
    data[:, places] = recorded.data
    rows = []
    for event in _told(recorded.events):
        place, there = _place(recorded.times, places, info.sfreq, float(event["t"]))
        rows.append(_row(event, place / info.sfreq, place, there=there))
    for before in np.flatnonzero(np.diff(places) > 1):
        first, stop = int(places[before]) + 1, int(places[before + 1])
        since = float(recorded.times[before]) + 1 / info.sfreq
        rows.append(_Row(first / info.sfreq, (stop - first) / info.sfreq, GAP, first, since, {}))
    marks = [
        {
            "onset": row.sample, "duration": max(1, round((row.duration or 0) * info.sfreq)), "type": "Comment",
            "description": row.kind,
        }
        for row in rows
    ]  # fmt: skip
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*non-voltage units")
        pybv.write_brainvision(
            data=data, sfreq=info.sfreq, ch_names=names, fname_base=f"{stem}_eeg", folder_out=folder, events=marks,
            resolution=1.0, unit=["µV" if one else "n/a" for one in eeg], fmt="binary_float32",
        )  # fmt: skip
    kinds = ["MISC" if not one else "EOG" if is_eye(name) else "EEG" for name, one in zip(names, eeg, strict=True)]
    channels = [("name", "type", "units")]
    channels += [(name, kind, "µV" if one else "n/a") for name, kind, one in zip(names, kinds, eeg, strict=True)]
    _write_table(folder / f"{stem}_channels.tsv", channels)
    said = {
        "TaskName": stem.rpartition("task-")[2],
        "TaskDescription": "Rapid serial visual presentation of images; the person looks for targets",
        "SamplingFrequency": info.sfreq, "EEGReference": "n/a", "PowerLineFrequency": "n/a", "SoftwareFilters": "n/a",
        "ManufacturersModelName": info.name, "SoftwareVersions": f"brainloop {version('brainloop')}",
        "RecordingType": "discontinuous" if any(row.kind == GAP for row in rows) else "continuous",
        "EEGChannelCount": kinds.count("EEG"), "EOGChannelCount": kinds.count("EOG"),
        "MiscChannelCount": kinds.count("MISC"),
    }  # fmt: skip
    (folder / f"{stem}_eeg.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
    _write_events(folder, stem, rows)


def _grid(times: FloatArray, sfreq: float) -> IntArray:
    """Give each sample its place: one after the last, and further where samples are missing between them."""
    most = max(2, round(MOST_FILLED * sfreq))
    steps = np.clip(np.rint(np.diff(times) * sfreq), 1, most).astype(int)
    return np.concatenate([[0], np.cumsum(steps)])


def _place(times: FloatArray, places: IntArray, sfreq: float, t: float) -> tuple[int, bool]:
    """Give an onset's place, that of the nearest sample or one in the gap it lies in, and whether it has one."""
    after = int(np.searchsorted(times, t))
    last = len(times) - 1
    nearest = after - 1 if after > last or (after and t - times[after - 1] < times[after] - t) else after
    if abs(times[nearest] - t) <= 0.75 / sfreq:  # as far as the Epocher reaches
        return int(places[nearest]), True
    if 0 < after <= last:
        place = int(places[after - 1]) + round((t - times[after - 1]) * sfreq)
        if places[after - 1] < place < places[after]:
            return place, True
    return int(places[nearest]), False


def _told(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Choose the events that go into the table, each presentation with the response to it, which came later."""
    responses = {(event.get("block"), event.get("position")): event for event in events if event["event"] == "response"}
    told: list[Mapping[str, Any]] = []
    for event in events:
        if event["event"] in KINDS:
            response = responses.get((event.get("block"), event.get("position")), {})
            told.append({**event, "evidence": response.get("evidence"), "rejected": response.get("rejected")})
    return told


def _row(event: Mapping[str, Any], onset: float, sample: int | None = None, *, there: bool = True) -> _Row:
    """Make a row of the table out of an event; a presentation outside the samples is flawed."""
    kind = str(event["event"])
    said = {key: event.get(key) for key in SAID}
    if kind == "presentation":
        said["flaw"] = said["flaw"] or (None if there else "no samples")
        kind = {True: "target", False: "nontarget"}.get(event.get("target"), kind)  # type: ignore[arg-type]
        kind = "flawed" if said["flaw"] else kind
    return _Row(onset, None, kind, sample, float(event["t"]), said)


def _write_events(folder: Path, stem: str, rows: Sequence[_Row]) -> None:
    table: list[Sequence[object]] = [tuple(COLUMNS)]
    for row in sorted(rows, key=lambda row: row.onset):
        said = [row.said.get(key) for key in SAID]
        duration = None if row.duration is None else f"{row.duration:.6f}"
        table.append((f"{row.onset:.9f}", duration, row.kind, row.sample, f"{row.time:.9f}", *said))
    _write_table(folder / f"{stem}_events.tsv", table)
    described = {
        name: {"Description": said} | ({"Units": UNITS[name]} if name in UNITS else {})
        for name, said in COLUMNS.items()
    }
    (folder / f"{stem}_events.json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def _write_table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    # BIDS has no quotes: a tab or a line break within a value would be two values.
    lines = ["\t".join("n/a" if one is None else re.sub(r"\s", " ", str(one)) for one in row) for row in rows]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
