"""Recordings from disk: EEG in volts with the onsets of two classes, its channels chosen, mended and referenced."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.eeg.files import dataset, entities, find_sessions, stem
from brainloop.eeg.mne_file import BOUNDARY, OUTSIDE_REMEDY, read_mne
from brainloop.eeg.positions import template_positions
from brainloop.eeg.preparation import (
    BadChannels,
    Blinks,
    Preparation,
    find_channels,
    learn_preparation,
    reference_channels,
)
from brainloop.eeg.source import Source
from brainloop.eeg.xdf import read_xdf
from brainloop.errors import RecordingError, SettingsError

__all__ = ["Recording", "Run", "read_recordings"]


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
        EEG channels that are bad and could not be interpolated: left out of all runs.
    repairs : tuple of str
        Everything that was mended in reading and preparing, a sentence each, for the user to read.
    positions : array of shape (n_channels, 3)
        Of the channels, right, front and up in MNE's head frame, m; NaN where unknown, and for all where left out.
    preparation : Preparation
        What made these channels of those in the files, and makes them of a headset's; the identity where left out.
    """

    name: str
    person: str
    session: str
    channels: tuple[str, ...]
    sfreq: float
    runs: tuple[Run, ...]
    dataset: str = ""
    dropped: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    positions: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    preparation: Preparation = Preparation((), (), np.zeros((0, 0)))  # noqa: RUF009

    def __post_init__(self) -> None:
        if not self.preparation.outputs:
            object.__setattr__(self, "preparation", Preparation.identity(self.channels))
        if not len(self.positions):
            object.__setattr__(self, "positions", np.full((len(self.channels), 3), np.nan))

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

    def pick(self, channels: Sequence[str]) -> "Recording":
        """Give the same with these channels only, in this order and under these names, as another recording has them.

        Parameters
        ----------
        channels : sequence of str
            Names of channels; they match without regard to case.

        Returns
        -------
        Recording
            For example of another session, to be decoded by what was trained on this one.

        Raises
        ------
        RecordingError
            If one of them is not there; where it was dropped, with the reason.
        """
        try:
            places = find_channels(channels, self.channels, f"{self.name} should have")
        except RecordingError as error:
            reasons = [said for said in self.repairs if said.startswith(tuple(f"{name} " for name in self.dropped))]
            raise RecordingError(f"{error} ({'; '.join(reasons)})" if reasons else str(error)) from None
        return replace(
            self,
            channels=tuple(channels),
            runs=tuple(replace(run, data=run.data[places]) for run in self.runs),
            positions=self.positions[places],
            preparation=self.preparation.pick(channels),
        )


def read_recordings(
    paths: Sequence[Path | str],
    *,
    target: str = "target",
    nontarget: str = "nontarget",
    channels: Sequence[str] | None = None,
    montage: str | None = None,
    reference: str | Sequence[str] | None = None,
    bad_channels: BadChannels = "repair",
    blinks: Blinks = "auto",
    preparation: Preparation | None = None,
    stream: str | None = None,
    unit: str | None = None,
) -> list[Recording]:
    """Read recordings from files and folders.

    Files in one folder whose BIDS names differ only in `run` are the runs of one recording session; any
    other file is a recording by itself. A folder gives every recording in it. Events are annotations, markers of an
    XDF file or, in a BIDS data set, `trial_type` of `*_events.tsv`; names match without regard to case, and a name with
    parts (`target/face`) matches each of its parts, as in MNE.

    Bad channels, eye movements and the reference are seen to as `brainloop.eeg.preparation.learn_preparation` says,
    once for each session, from the signal alone.

    Parameters
    ----------
    paths : sequence of path
        Files (FIF, BrainVision `.vhdr`, EDF, BDF, XDF, whatever else MNE reads) and folders.
    target, nontarget : str
        Names of the events of the two classes.
    channels : sequence of str or None
        EEG channels to use, in this order and under these names; they match without regard to case. None for all.
    montage : str or None
        MNE's name of a standard montage for the positions; None for those in the file, or of the 10-05 system where
        it has none.
    reference : 'average', sequence of str or None
        What is subtracted from every channel: the mean of all good ones, or the mean of the named ones (mastoids, for
        example), which are then left out of the channels. None leaves the reference as recorded.
    bad_channels : 'repair' or 'keep'
        Whether flat, noisy and bridged channels, and those marked bad, are interpolated or dropped.
    blinks : 'auto' or 'off'
        Whether eye movements are regressed out where eye channels or enough others allow.
    preparation : Preparation or None
        One that was learned from another recording, to be applied as it is, as a live headset does it: in place of
        `channels`, `reference`, `bad_channels` and `blinks`.
    stream : str or None
        Name of the EEG stream of XDF files that have several.
    unit : str or None
        Unit of the EEG in XDF files, in place of what they say: 'microvolts', 'mV' and so on.

    Returns
    -------
    list of Recording
        In the order of the paths, those of a folder sorted by name; at least one.

    Raises
    ------
    RecordingError
        If a path is missing, a file cannot be read or is truncated, channels or events of a class are missing or events
        lie outside the data, runs of a session differ in channels or rate, or the values are no volts.
    SettingsError
        If an argument is none of its values, or does not go with `preparation`.
    """
    if preparation is not None and (channels is not None or reference is not None):
        raise SettingsError("expected no channels and no reference beside a preparation: it chooses them itself")
    recordings = []
    for name, files in find_sessions(paths).items():
        sources = [
            read_xdf(file, stream=stream, unit=unit) if file.suffix.lower() in (".xdf", ".xdfz") else read_mne(file)
            for file in files
        ]
        _check_rates(name, sources)
        repairs = [said for source in sources for said in source.repairs]
        dropped: tuple[str, ...] = ()
        if preparation is None:
            try:
                applied, dropped, mended = _learn(sources, channels, montage, reference, bad_channels, blinks)
            except RecordingError as error:
                raise RecordingError(f"{name}: {error}") from error
            repairs += mended
        else:
            applied = preparation
            repairs += _doubts(sources, preparation)
        runs = tuple(_run(source, applied, target, nontarget) for source in sources)
        _check_classes(name, sources, runs, target, nontarget)
        named = entities(files[0])
        recordings.append(
            Recording(
                name=name,
                person=f"sub-{named['sub']}" if named else stem(files[0]),
                session=f"ses-{named['ses']}" if "ses" in named else "",
                channels=applied.outputs,
                sfreq=sources[0].sfreq,
                runs=runs,
                dataset=dataset(files[0].parent).name,
                dropped=dropped,
                repairs=tuple(dict.fromkeys((*repairs, *applied.repairs))),
                positions=_positions(sources[0], applied.outputs, montage),
                preparation=applied,
            )
        )
    return recordings


def _check_rates(name: str, sources: Sequence[Source]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.sfreq != first.sfreq:
            raise RecordingError(
                f"expected one sampling rate in all runs of {name}, got {first.sfreq:g} Hz in {first.path.name} "
                f"and {other.sfreq:g} Hz in {other.path.name}: resample one, or give the files names that differ "
                "in more than the run"
            )


def _learn(
    sources: Sequence[Source],
    channels: Sequence[str] | None,
    montage: str | None,
    reference: str | Sequence[str] | None,
    bad_channels: BadChannels,
    blinks: Blinks,
) -> tuple[Preparation, tuple[str, ...], list[str]]:
    """Learn the preparation of a session, and give it with the channels that were dropped and what was mended."""
    first = sources[0]
    wanted = list(first.eeg)
    if channels is not None:
        wanted = [first.eeg[place] for place in find_channels(channels, first.eeg, "channels=... names")]
    referees = reference_channels(reference, first.eeg)
    needed = [*wanted, *(name for name in referees if name not in wanted)]
    repairs = []
    for other in sources[1:]:
        different = sorted(set(other.eeg) ^ set(first.eeg) if channels is None else set(needed) - set(other.eeg))
        if different:
            raise RecordingError(
                f"expected the same EEG channels in all runs, but only one of {first.path.name} and {other.path.name} "
                f"has {', '.join(different)}: rename the channels, choose those they share with channels=..., or give "
                "the files names that differ in more than the run"
            )
        if [name for name in other.eeg if name in needed] != [name for name in first.eeg if name in needed]:
            repairs.append(
                f"{other.path.name} has its channels in another order than {first.path.name}: put in one order"
            )
    eyes = [name for name in first.eog if all(name in other.eog for other in sources)]
    alike = [source.pick(needed, eyes) for source in sources]
    learned = learn_preparation(
        alike,
        _positions(first, needed, montage),
        wanted,
        reference=reference,
        bad_channels=bad_channels,
        blinks=blinks,
    )
    asked = dict(zip(wanted, channels or wanted, strict=True))
    dropped = tuple(asked[name] for name in wanted if name not in (*learned.outputs, *referees))
    return replace(learned, outputs=tuple(asked[name] for name in learned.outputs)), dropped, repairs


def _doubts(sources: Sequence[Source], preparation: Preparation) -> list[str]:
    return [
        f"{name} is marked bad in {source.path.name}, but the preparation reads it"
        for source in sources
        for name in preparation.inputs
        if name in source.bad
    ]


def _positions(source: Source, names: Sequence[str], montage: str | None) -> FloatArray:
    """Give positions of channels, shape (n, 3), m: the file's, or those of a template where it has none."""
    if montage is not None or not np.isfinite(source.positions).any():
        return template_positions(names, montage)
    known = {name.casefold(): place for name, place in zip(source.eeg, source.positions, strict=True)}
    return np.array([known.get(name.casefold(), np.full(3, np.nan)) for name in names]).reshape(-1, 3)


def _run(source: Source, preparation: Preparation, target: str, nontarget: str) -> Run:
    """Make a run out of a file: prepared channels, events of both classes, gaps where its annotations break it."""
    times, sfreq, path = source.times, source.sfreq, source.path
    keep = np.ones(len(times), dtype=bool)
    events = []
    for event in source.events:
        is_class = [_matches(event.name, name) for name in (nontarget, target)]
        if all(is_class):
            raise RecordingError(
                f"the event {event.name!r} of {path} matches both {target!r} and {nontarget!r}: "
                "name the two classes more fully"
            )
        if any(is_class):
            events.append((event.onset, is_class[1]))
        elif BOUNDARY.match(event.name):
            begin, end = np.searchsorted(times + 0.5 / sfreq, [event.onset, event.onset + event.duration])
            if end > 0:
                # A boundary may have no length: one sample less is enough to make it a gap.
                keep[begin : max(begin + 1, end)] = False
    events.sort()
    onsets = np.array([onset for onset, _ in events], dtype=float)
    is_target = np.array([label for _, label in events], dtype=bool)
    outside = (onsets < times.min() - 0.5 / sfreq) | (onsets > times.max() + 0.5 / sfreq)
    if outside.any():
        raise RecordingError(
            f"{int(outside.sum())} events of {path} lie outside its data of {times[-1]:.3f} s, the first at "
            f"{onsets[outside][0]:.3f} s: {OUTSIDE_REMEDY}"
        )
    repeats = np.diff(onsets, prepend=-np.inf) < 0.5 / sfreq
    clash = repeats[1:] & (is_target[1:] != is_target[:-1])
    if clash.any():
        raise RecordingError(
            f"{path} has a target and a non-target at the same onset, {onsets[1:][clash][0]:.3f} s: "
            "a presentation has one class; remove one of the two events"
        )
    rows = find_channels(preparation.inputs, source.channels, f"the preparation of {path.name} reads")
    return Run(preparation(source.data[rows])[:, keep], times[keep], onsets[~repeats], is_target[~repeats])


def _matches(text: str, name: str) -> bool:
    """Whether an event has all parts of a name among its own: MNE's rule for `target/face`, in any case."""
    given, asked = ({" ".join(part.split()).casefold() for part in tags.split("/")} for tags in (text, name))
    return asked <= given


def _check_classes(name: str, sources: Sequence[Source], runs: Sequence[Run], target: str, nontarget: str) -> None:
    is_target = np.concatenate([run.is_target for run in runs])
    missing = [what for what, some in ((target, is_target), (nontarget, ~is_target)) if not some.any()]
    if missing:
        texts = sorted({event.name for source in sources for event in source.events if not BOUNDARY.match(event.name)})
        raise RecordingError(
            f"expected events named {target!r} and {nontarget!r} in {name}, found none named "
            f"{' or '.join(map(repr, missing))}; its events are: {', '.join(map(repr, texts)) or 'none at all'}. "
            "Say what the two classes are called with target=... and nontarget=... "
            "(--target-event and --nontarget-event on the command line)"
        )
