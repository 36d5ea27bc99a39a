"""A file that MNE reads, with its BIDS data set's events and channels where it lies in one."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.files import entities
from brainloop.eeg.positions import file_positions
from brainloop.eeg.source import Event, Source, is_eye, one_line
from brainloop.errors import RecordingError

__all__ = ["BOUNDARY", "OUTSIDE_REMEDY", "read_mne"]

BOUNDARY = re.compile(r"\s*(bad|edge|boundary|new segment)", re.IGNORECASE)
"""Annotations that end a stretch: MNE's BAD and EDGE, EEGLAB's boundary, BrainVision's New Segment."""

OUTSIDE_REMEDY = "the file is truncated, or the events belong to another one; correct the events or give the whole file"


def read_mne(path: Path) -> Source:
    """Read a file through MNE.

    Parameters
    ----------
    path : Path
        FIF, BrainVision `.vhdr`, EDF, BDF, whatever else MNE reads; in a BIDS data set, its events and channel table
        take the place of the file's own.

    Returns
    -------
    Source
        Its EEG and eye channels; a channel with EOG in its name is an eye channel, whatever its type.

    Raises
    ------
    RecordingError
        If the file cannot be read, is truncated or discontinuous, or has events outside its data.
    """
    _refuse_discontinuous(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw, events = _open(path)
        except Exception as error:  # a damaged file makes MNE's readers raise anything
            remedy = (
                f"give its header, {path.with_suffix('.vhdr').name}"
                if path.suffix == ".eeg"
                else "give a file that `mne.io.read_raw` opens, whole, with EEG channels and all its parts beside it"
            )
            raise RecordingError(f"cannot read {path} as a recording ({one_line(error)}): {remedy}") from error
    # MNE only warns where events or samples are lost.
    for message in (one_line(warning.message) for warning in caught):
        if "outside" in message and "data range" in message:
            raise RecordingError(f"events of {path} lie outside its data ({message}): {OUTSIDE_REMEDY}")
        if "match the file size" in message or "data file size" in message:
            raise RecordingError(f"{path} is truncated ({message}): give the whole file")
    return _source(path, raw, events)


def _open(path: Path) -> tuple[Any, list[Event]]:
    import mne

    raw = mne.io.read_raw(path, preload=False, verbose="warning")
    events = _events(raw)
    # The layout of a data set: root/sub-*/[ses-*/]eeg/sub-*.
    if entities(path) and path.parent.name == "eeg" and path.parent.parent.name[:4] in ("sub-", "ses-"):
        import mne_bids

        raw = mne_bids.read_raw_bids(
            mne_bids.get_bids_path_from_fname(path, check=False, verbose="error"), verbose="warning"
        )
        # The events of a data set take the place of the file's own, but do not tell where it is cut.
        events = _events(raw) + [event for event in events if BOUNDARY.match(event.name)]
    if "eeg" not in raw:
        raise ValueError("none of its channels is of type EEG")
    return raw.pick(["eeg", "eog"], exclude=()), events


def _source(path: Path, raw: Any, events: list[Event]) -> Source:
    kinds = raw.get_channel_types()
    eeg: list[str] = []
    eog: list[str] = []
    repairs = []
    for name, kind in zip(raw.ch_names, kinds, strict=True):
        (eog if kind == "eog" or is_eye(name) else eeg).append(name)
        if kind == "eeg" and is_eye(name):
            repairs.append(f"{name} is an eye channel by its name, though the file calls it EEG")
    positions = dict(zip(raw.ch_names, file_positions(raw.info), strict=True))
    data = _samples(path, raw, eeg + eog)
    return Source(
        path=path,
        eeg=tuple(eeg),
        eog=tuple(eog),
        data=data,
        positions=np.array([positions[name] for name in eeg]).reshape(-1, 3),
        bad=frozenset(raw.info["bads"]),
        times=np.arange(data.shape[1]) / float(raw.info["sfreq"]),
        sfreq=float(raw.info["sfreq"]),
        events=tuple(events),
        repairs=tuple(repairs),
    )


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


def _events(raw: Any) -> list[Event]:
    # MNE counts them from the start of the measurement, which a crop leaves before the first sample.
    return [
        Event(float(a["onset"] - raw.first_time), float(a["duration"]), str(a["description"])) for a in raw.annotations
    ]


def _samples(path: Path, raw: Any, channels: list[str]) -> FloatArray:
    try:
        data: FloatArray = raw.get_data(picks=channels, verbose="error")
    except Exception as error:  # as in read_mne: this is where samples are read
        raise RecordingError(
            f"cannot read the samples of {path} ({one_line(error)}): the file is truncated or damaged; "
            "give the whole file"
        ) from error
    return data
