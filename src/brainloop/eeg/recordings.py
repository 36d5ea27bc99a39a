"""Recordings from disk: any file MNE reads and BIDS data sets, as volts and onsets of two classes."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.errors import RecordingError

__all__ = ["Recording", "Run", "read_recordings"]

EXTENSIONS = (".vhdr", ".fif", ".fif.gz", ".edf", ".bdf", ".set", ".cnt", ".gdf", ".mff")
"""What is looked for in a folder; a file that is named may be anything `mne.io.read_raw` reads."""

BOUNDARY = re.compile(r"\s*(bad|edge|boundary|new segment)", re.IGNORECASE)
"""Annotations that end a stretch: MNE's BAD and EDGE, EEGLAB's boundary, BrainVision's New Segment."""

SPREAD_LIMITS = (1e-8, 50e-3)
"""Median absolute deviation of EEG, V: less is below an amplifier's noise, more is beyond its range."""

OUTSIDE_REMEDY = "the file is truncated, or the events belong to another one; correct the events or give the whole file"


@dataclass(frozen=True)
class Run:
    """One uninterrupted run of a recording session.

    Attributes
    ----------
    data : array of shape (n_channels, n_samples)
        Unfiltered EEG, V.
    times : array of shape (n_samples,)
        Timestamp of each sample, s; bad stretches and boundaries are left out, which is a gap here.
    onsets : array of shape (n_events,)
        Increasing, s, on the same clock.
    is_target : bool array of shape (n_events,)
        Whether a target was shown.
    """

    data: FloatArray
    times: FloatArray
    onsets: FloatArray
    is_target: BoolArray


@dataclass(frozen=True)
class Recording:
    """One recording session of one person, with one montage and one sampling rate.

    Attributes
    ----------
    name : str
        The file's name, without its `run` and its suffix.
    person : str
        `sub-...` of the name, or the whole name where it has none.
    session : str
        `ses-...` of the name, or an empty string.
    channels : tuple of str
        EEG channels that are used.
    sfreq : float
        Sampling rate, Hz.
    runs : tuple of Run
        In order.
    dataset : str
        Name of the BIDS data set's folder, or of the file's folder.
    dropped : tuple of str
        EEG channels that are marked bad in any run, or never change in any: left out of all runs.
    """

    name: str
    person: str
    session: str
    channels: tuple[str, ...]
    sfreq: float
    runs: tuple[Run, ...]
    dataset: str = ""
    dropped: tuple[str, ...] = ()

    @property
    def n_targets(self) -> int:
        """Number of targets shown."""
        return int(sum(run.is_target.sum() for run in self.runs))

    @property
    def n_nontargets(self) -> int:
        """Number of non-targets shown."""
        return int(sum((~run.is_target).sum() for run in self.runs))

    @property
    def soa(self) -> float:
        """Median difference of successive onsets within runs, s."""
        return float(np.median(np.concatenate([np.diff(run.onsets) for run in self.runs])))


def read_recordings(
    paths: Sequence[Path | str], *, target: str = "target", nontarget: str = "nontarget"
) -> list[Recording]:
    """Read recordings from files and folders.

    Files in one folder whose BIDS names differ only in `run` are the runs of one recording session; any
    other file is a recording by itself. A folder gives every recording in it. Events are annotations or, in
    a BIDS data set, `trial_type` of `*_events.tsv`; names match without regard to case, and a name with
    parts (`target/face`) matches each of its parts, as in MNE.

    Parameters
    ----------
    paths : sequence of path
        Files (FIF, BrainVision `.vhdr`, EDF, BDF, whatever else MNE reads) and folders.
    target, nontarget : str
        Names of the events of the two classes.

    Returns
    -------
    list of Recording
        In the order of the paths, those of a folder sorted by name; at least one.

    Raises
    ------
    RecordingError
        If a path is missing, a file cannot be read or is truncated, events of a class are missing or lie
        outside the data, runs of a session differ in channels or rate, or the values are no volts.
    """
    sessions: dict[Path, list[Path]] = {}
    for path in _files(paths):
        # What is left when `run` is taken out of a BIDS name is the same for the runs of one session only.
        same = re.sub(r"_(run|split)-[^_.]+", "", path.name) if _entities(path) else path.name
        sessions.setdefault(path.parent / same, []).append(path)
    names = [_session_name(key) for key in sessions]
    recordings = []
    for key, name, files in zip(sessions, names, sessions.values(), strict=True):
        unique = name if names.count(name) == 1 else f"{_dataset(key.parent).name}/{key.name}"
        recordings.append(_read_session(unique, sorted(files, key=_run_order), target, nontarget))
    return recordings


def _files(paths: Sequence[Path | str]) -> list[Path]:
    """Give every file to read, once; those in a folder are sorted."""
    if isinstance(paths, str | Path):
        paths = [paths]
    found: dict[Path, Path] = {}  # by what a link leads to
    for path in (Path(path).expanduser().absolute() for path in paths):
        if not path.exists():
            raise RecordingError(f"no recording at {path}: give a file or a folder that is there")
        files = [path]
        if path.is_dir() and path.suffix != ".mff":
            files = sorted(file for file in path.rglob("*") if _is_recording(path, file))
            if not files:
                raise RecordingError(
                    f"expected recordings ({', '.join(EXTENSIONS)}) in the folder {path}, found none: "
                    "give the folder of a BIDS data set, or the files themselves"
                )
        for file in files:
            found.setdefault(file.resolve(), file)
    if not found:
        raise RecordingError("expected at least one recording, got no path")
    return list(found.values())


def _is_recording(folder: Path, file: Path) -> bool:
    """Whether a file in a folder is the first file of a recording, and none of a data set's other data."""
    inside = file.relative_to(folder).parts
    if not file.name.lower().endswith(EXTENSIONS) or any(part.startswith(".") for part in inside):
        return False
    if {"derivatives", "sourcedata", "code", "stimuli"} & set(inside[:-1]):
        return False
    # MNE finds the later parts of a long FIF by itself: name-1.fif beside name.fif, or split-02 and so on.
    first = re.sub(r"-\d+(?=\.fif)", "", file.name)
    is_part = first != file.name and file.with_name(first).exists()
    return not is_part and int(_entities(file).get("split", "1")) == 1


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _entities(path: Path) -> dict[str, str]:
    """BIDS entities of a file's name, {} for any other name."""
    if not re.fullmatch(r"sub-[^_-]+(_[a-z]+-[^_-]+)*(_[A-Za-z]+)?", _stem(path)):
        return {}
    return dict(part.split("-", 1) for part in _stem(path).split("_") if "-" in part)


def _session_name(path: Path) -> str:
    """Name of a recording session: a BIDS name's entities without `run`, any other name as it is."""
    entities = _entities(path).items()
    return "_".join(f"{key}-{value}" for key, value in entities if key not in ("run", "split")) or _stem(path)


def _run_order(path: Path) -> tuple[int, str]:
    run = _entities(path).get("run", "0")
    return (int(run) if run.isdecimal() else 0, path.name)


def _dataset(folder: Path) -> Path:
    """Give the BIDS data set that a folder belongs to, else the folder itself."""
    for above in [folder, *folder.parents]:
        if (above / "dataset_description.json").is_file():
            return above
    return folder


@dataclass(frozen=True)
class _File:
    """A file that MNE opened: EEG channels only, annotations as (onset from the first sample, s; length, s; text)."""

    path: Path
    raw: Any
    annotations: list[tuple[float, float, str]]

    @property
    def sfreq(self) -> float:
        return float(self.raw.info["sfreq"])


def _read_session(name: str, paths: Sequence[Path], target: str, nontarget: str) -> Recording:
    files = [_open(path) for path in paths]
    first = files[0]
    for file in files[1:]:
        different = sorted(set(file.raw.ch_names) ^ set(first.raw.ch_names))
        if different:
            raise RecordingError(
                f"expected the same EEG channels in all runs of {name}, but only one of {first.path.name} and "
                f"{file.path.name} has {', '.join(different)}: rename the channels, or give the files names that "
                "differ in more than the run"
            )
        if file.sfreq != first.sfreq:
            raise RecordingError(
                f"expected one sampling rate in all runs of {name}, got {first.sfreq:g} Hz in {first.path.name} "
                f"and {file.sfreq:g} Hz in {file.path.name}: resample one, or give the files names that differ "
                "in more than the run"
            )
    channels = list(first.raw.ch_names)
    samples = [_samples(file, channels) for file in files]
    bad = {channel for file in files for channel in file.raw.info["bads"]}
    still = np.all([np.ptp(data, axis=1) == 0 for data in samples], axis=0)
    used = np.array([channel not in bad for channel in channels]) & ~still
    if not used.any():
        raise RecordingError(
            f"every EEG channel of {name} is marked bad or never changes: nothing is left to decode; "
            "correct the marks, or record again"
        )
    runs = tuple(_run(file, data[used], target, nontarget) for file, data in zip(files, samples, strict=True))
    _check_classes(name, files, runs, target, nontarget)
    entities = _entities(first.path)
    return Recording(
        name=name,
        person=f"sub-{entities['sub']}" if entities else _stem(first.path),
        session=f"ses-{entities['ses']}" if "ses" in entities else "",
        channels=tuple(np.array(channels)[used].tolist()),
        sfreq=first.sfreq,
        runs=runs,
        dataset=_dataset(first.path.parent).name,
        dropped=tuple(np.array(channels)[~used].tolist()),
    )


def _open(path: Path) -> _File:
    """Open a file with MNE, and with its data set's events and channels where it lies in one."""
    import mne

    _refuse_discontinuous(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw = mne.io.read_raw(path, preload=False, verbose="warning")
            annotations = _annotations(raw)
            # The layout of a data set: root/sub-*/[ses-*/]eeg/sub-*.
            if _entities(path) and path.parent.name == "eeg" and path.parent.parent.name[:4] in ("sub-", "ses-"):
                import mne_bids

                raw = mne_bids.read_raw_bids(
                    mne_bids.get_bids_path_from_fname(path, check=False, verbose="error"), verbose="warning"
                )
                # The events of a data set take the place of the file's own, but do not tell where it is cut.
                annotations = _annotations(raw) + [a for a in annotations if BOUNDARY.match(a[2])]
            raw.pick("eeg", exclude=())
        except Exception as error:  # a damaged file makes MNE's readers raise anything
            remedy = (
                f"give its header, {path.with_suffix('.vhdr').name}"
                if path.suffix == ".eeg"
                else "give a file that `mne.io.read_raw` opens, whole, with EEG channels and all its parts beside it"
            )
            raise RecordingError(f"cannot read {path} as a recording ({_one_line(error)}): {remedy}") from error
    # MNE only warns where events or samples are lost.
    for message in (_one_line(warning.message) for warning in caught):
        if "outside" in message and "data range" in message:
            raise RecordingError(f"events of {path} lie outside its data ({message}): {OUTSIDE_REMEDY}")
        if "match the file size" in message or "data file size" in message:
            raise RecordingError(f"{path} is truncated ({message}): give the whole file")
    return _File(path, raw, annotations)


def _refuse_discontinuous(path: Path) -> None:
    """Refuse EDF+D and BDF+D, whose gaps MNE's readers close up in silence."""
    if path.suffix.lower() not in (".edf", ".bdf"):
        return
    with path.open("rb") as file:
        reserved = file.read(236)[192:]
    if reserved[:5] in (b"EDF+D", b"BDF+D"):
        raise RecordingError(
            f"expected a continuous recording, but {path} is {reserved[:5].decode()}, with gaps between its "
            "records: export it as continuous EDF+C or BDF+C, one file for each stretch"
        )


def _annotations(raw: Any) -> list[tuple[float, float, str]]:
    # MNE counts them from the start of the measurement, which a crop leaves before the first sample.
    return [(float(a["onset"] - raw.first_time), float(a["duration"]), str(a["description"])) for a in raw.annotations]


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _samples(file: _File, channels: list[str]) -> FloatArray:
    """Give the samples of the EEG channels in the order of `channels`, V."""
    try:
        data: FloatArray = file.raw.get_data(picks=channels, verbose="error")
    except Exception as error:  # as in _open: this is where samples are read
        raise RecordingError(
            f"cannot read the samples of {file.path} ({_one_line(error)}): the file is truncated or damaged; "
            "give the whole file"
        ) from error
    some = data[:, :: max(1, data.shape[1] // 10_000)]
    some = some[:, np.isfinite(some).all(axis=0)]
    if some.shape[1] == 0:
        raise RecordingError(f"{file.path} holds no samples that are finite in all channels: record again")
    spread = float(np.median(np.abs(some - np.median(some, axis=1, keepdims=True))))
    low, high = SPREAD_LIMITS
    if spread > high or 0 < spread < low:
        raise RecordingError(
            f"expected EEG in volts, but that of {file.path} spreads by {spread:.3g} V: its unit is stored "
            "wrongly; correct the unit in the header, or the factor it was written with"
        )
    return data


def _run(file: _File, data: FloatArray, target: str, nontarget: str) -> Run:
    """Make a run out of an opened file: events of both classes, gaps where its annotations break it."""
    sfreq = file.sfreq
    times = np.arange(data.shape[1]) / sfreq
    keep = np.ones(len(times), dtype=bool)
    events = []
    for onset, duration, text in file.annotations:
        is_class = [_matches(text, name) for name in (nontarget, target)]
        if all(is_class):
            raise RecordingError(
                f"the event {text!r} of {file.path} matches both {target!r} and {nontarget!r}: "
                "name the two classes more fully"
            )
        if any(is_class):
            events.append((onset, is_class[1]))
        elif BOUNDARY.match(text) and round(onset * sfreq) + round(duration * sfreq) > 0:
            # A boundary may have no length: one sample less is enough to make it a gap.
            begin = max(0, round(onset * sfreq))
            keep[begin : max(begin + 1, round((onset + duration) * sfreq))] = False
    events.sort()
    onsets = np.array([onset for onset, _ in events], dtype=float)
    is_target = np.array([label for _, label in events], dtype=bool)
    outside = (onsets < -0.5 / sfreq) | (onsets > times[-1] + 0.5 / sfreq)
    if outside.any():
        raise RecordingError(
            f"{int(outside.sum())} events of {file.path} lie outside its data of {times[-1]:.3f} s, the first at "
            f"{onsets[outside][0]:.3f} s: {OUTSIDE_REMEDY}"
        )
    repeats = np.diff(onsets, prepend=-np.inf) < 0.5 / sfreq
    clash = repeats[1:] & (is_target[1:] != is_target[:-1])
    if clash.any():
        raise RecordingError(
            f"{file.path} has a target and a non-target at the same onset, {onsets[1:][clash][0]:.3f} s: "
            "a presentation has one class; remove one of the two events"
        )
    return Run(data[:, keep], times[keep], onsets[~repeats], is_target[~repeats])


def _matches(text: str, name: str) -> bool:
    """Whether an event has all parts of a name among its own: MNE's rule for `target/face`, in any case."""
    given, asked = ({" ".join(part.split()).casefold() for part in tags.split("/")} for tags in (text, name))
    return asked <= given


def _check_classes(name: str, files: Sequence[_File], runs: Sequence[Run], target: str, nontarget: str) -> None:
    is_target = np.concatenate([run.is_target for run in runs])
    missing = [what for what, some in ((target, is_target), (nontarget, ~is_target)) if not some.any()]
    if missing:
        texts = sorted({text for file in files for _, _, text in file.annotations if not BOUNDARY.match(text)})
        raise RecordingError(
            f"expected events named {target!r} and {nontarget!r} in {name}, found none named "
            f"{' or '.join(map(repr, missing))}; its events are: {', '.join(map(repr, texts)) or 'none at all'}. "
            "Say what the two classes are called with target=... and nontarget=... "
            "(--target-event and --nontarget-event on the command line)"
        )
