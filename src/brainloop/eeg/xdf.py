"""XDF, the format of LabRecorder and the Lab Streaming Layer: streams with timestamps of their own."""

import gzip
import io
import logging
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brainloop.eeg.dejitter import dejitter
from brainloop.eeg.source import Event, Source, is_eye, one_line
from brainloop.errors import RecordingError, SettingsError

__all__ = ["read_xdf", "volts_in"]

UNITS = {
    **dict.fromkeys(("v", "volt", "volts"), 1.0),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), 1e-3),
    **dict.fromkeys(("uv", "\N{GREEK SMALL LETTER MU}v", "microvolt", "microvolts"), 1e-6),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts"), 1e-9),
}
"""Volts in one of each unit, by its name in lower case."""

RATE_TOLERANCE = 0.01
"""Largest share by which the measured sampling rate may differ from the nominal one: a device's crystal is off by less
than a thousandth, and filters made for a rate 1 % off are 1 % off."""

HARMLESS = "Segments and clock-segments differ"
"""What pyxdf says of every stream that it does not free of jitter."""


def read_xdf(path: Path, *, stream: str | None = None, unit: str | None = None) -> Source:
    """Read the EEG stream and all marker streams of an XDF file, on one clock.

    The clocks of the streams are brought together by pyxdf from the file's clock offsets. Timestamps are freed of
    jitter by `brainloop.eeg.dejitter.dejitter`, and are not laid on a grid: a gap stays a gap.

    Parameters
    ----------
    path : Path
        An `.xdf` or `.xdfz` file.
    stream : str or None
        Name of the EEG stream, needed where the file has several.
    unit : str or None
        Unit of the EEG stream in place of what the file says: 'microvolts', 'uV', 'mV', 'V' or 'nV'.

    Returns
    -------
    Source
        Channels of type EEG (or of none) and EOG; the others are left out. Every stream of strings at an irregular
        rate, and every one of type Markers, gives events.

    Raises
    ------
    RecordingError
        If the file is damaged or truncated, the streams that are needed are not there or not unique, a unit is
        missing or unknown, or the rate is irregular or not the one that the stream claims.
    SettingsError
        If `unit` is no unit.
    """
    if unit is not None and volts_in(unit) is None:
        raise SettingsError(f"expected a unit among microvolts, uV, mV, V and nV, got {unit!r}")
    footers = _check_whole(path)
    streams, repairs = _load(path, stream)
    repairs += _check_streams(path, streams, footers)
    eeg = streams[0]
    sfreq = float(eeg["info"]["nominal_srate"][0])
    if not sfreq > 0:
        raise RecordingError(
            f"expected a regular sampling rate of the EEG stream {_name(eeg)!r} of {path}, got a nominal rate of "
            f"{sfreq:g} Hz: give the rate in the stream's header when it is recorded"
        )
    stamps = np.asarray(eeg["time_stamps"], dtype=float)
    if len(stamps) < 2:
        raise RecordingError(f"the EEG stream {_name(eeg)!r} of {path} holds {len(stamps)} samples: record again")
    times, rate = dejitter(stamps, sfreq)
    if not abs(rate - sfreq) <= RATE_TOLERANCE * sfreq:
        raise RecordingError(
            f"the EEG stream {_name(eeg)!r} of {path} claims {sfreq:g} Hz, but its timestamps run at {rate:.4g} Hz: "
            "samples were lost, or the header is wrong; correct the header, or record again"
        )
    channels, mended = _channels(path, eeg, unit)
    rows = [i for kind in ("eeg", "eog") for i, channel in enumerate(channels) if channel.kind == kind]
    names = {kind: tuple(channel.name for channel in channels if channel.kind == kind) for kind in ("eeg", "eog")}
    factors = np.array([channels[i].volts for i in rows])
    return Source(
        path=path,
        eeg=names["eeg"],
        eog=names["eog"],
        data=np.asarray(eeg["time_series"], dtype=float).T[rows] * factors[:, None],
        positions=np.full((len(names["eeg"]), 3), np.nan),
        bad=frozenset(),
        times=times - times[0],
        sfreq=sfreq,
        events=tuple(event for one in streams[1:] for event in _events(one, float(times[0]))),
        repairs=(*repairs, *mended),
    )


def volts_in(unit: str) -> float | None:
    """Give the volts in one of a unit, None where it is no unit of voltage; any spelling of microvolts will do."""
    return UNITS.get(unicodedata.normalize("NFKC", unit).strip().casefold())


class _Channel(NamedTuple):
    name: str
    kind: str
    volts: float  # in one unit of its values


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if path.suffix.lower() == ".xdfz" else path.open("rb")


def _check_whole(path: Path) -> set[int]:
    """Walk over the chunks of a file, refuse one that is cut, and give the streams that have a footer.

    pyxdf takes what there is of a last chunk, and fills up its last sample with the one before it.
    """
    footers = set()
    whole = 0
    try:
        with _open(path) as file:
            begins_well = file.read(4) == b"XDF:"
            while begins_well and (size := file.read(1)):
                tag, stream = _pass_chunk(file, size[0])
                whole = file.tell()
                if tag == 6:
                    footers.add(stream)
    except (KeyError, struct.error, EOFError, OSError) as error:
        raise RecordingError(
            f"{path} is truncated or damaged: after its first {whole} bytes comes no whole chunk; give the whole file, "
            "or, where its recorder was killed, cut it to that length"
        ) from error
    if not whole:
        raise RecordingError(f"cannot read {path} as a recording: an XDF file begins with 'XDF:' and a chunk")
    return footers


def _pass_chunk(file: io.BufferedIOBase, size: int) -> tuple[int, int]:
    """Go to the end of a chunk whose length takes `size` bytes, and give its tag and the number of its stream."""
    (length,) = struct.unpack({1: "<B", 4: "<I", 8: "<Q"}[size], file.read(size))
    head = file.read(min(length, 6))
    if length > len(head):
        file.seek(length - len(head) - 1, 1)
        if not file.read(1):
            raise EOFError
    (tag,) = struct.unpack("<H", head[:2])
    return tag, int.from_bytes(head[2:], "little")


def _load(path: Path, stream: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Give the EEG stream, then the marker streams, as pyxdf has them, and what it had to mend."""
    import pyxdf

    with _log() as said:
        try:
            there = pyxdf.resolve_streams(_open(path))
        except Exception as error:  # headers are XML of any kind
            raise RecordingError(
                f"cannot read {path} as a recording ({one_line(error)}): the header of a stream is damaged; "
                "give the file as LabRecorder wrote it"
            ) from error
        chosen = [_eeg_stream(path, there, stream), *_marker_streams(path, there)]
        try:
            loaded, _ = pyxdf.load_xdf(_open(path), chosen, dejitter_timestamps=False, verbose=False)
        except Exception as error:  # as above, and chunks that do not fit their stream
            raise RecordingError(
                f"cannot read {path} as a recording ({one_line(error)}): the file is damaged; give the whole file"
            ) from error
    repairs = []
    for record in said:
        message = one_line(record.getMessage())
        if record.levelno >= logging.ERROR or "cannot be used for synchronization" in message:
            raise RecordingError(f"{path} is damaged (pyxdf: {message}): give the whole file")
        if HARMLESS not in message:
            repairs.append(f"pyxdf on {path.name}: {message}")
    return sorted(loaded, key=lambda one: chosen.index(one["info"]["stream_id"])), repairs


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def _log() -> Iterator[list[logging.LogRecord]]:
    """Keep what pyxdf logs: it says only so that it left something out."""
    listener, logger = _Listener(), logging.getLogger("pyxdf")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield listener.records
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagate


def _eeg_stream(path: Path, there: list[dict[str, Any]], name: str | None) -> int:
    """Give the number of the EEG stream: the one of type EEG, or of a name."""
    if name is None:
        found = [one for one in there if str(one["type"]).casefold() == "eeg"]
    else:
        found = [one for one in there if one["name"] == name]
    if len(found) != 1:
        wanted = "of type EEG" if name is None else f"named {name!r}"
        listed = ", ".join(f"{one['name']!r} ({one['type']})" for one in there) or "none"
        raise RecordingError(
            f"expected one stream {wanted} in {path}, found {len(found)}; its streams are: {listed}. "
            "Name the one with EEG with stream=..."
        )
    return int(found[0]["stream_id"])


def _marker_streams(path: Path, there: list[dict[str, Any]]) -> list[int]:
    found = [
        int(one["stream_id"])
        for one in there
        if one["nominal_srate"] == 0
        and (one["channel_format"] == "string" or str(one["type"]).casefold() in ("marker", "markers"))
    ]
    if not found:
        listed = ", ".join(f"{one['name']!r} ({one['type']})" for one in there)
        raise RecordingError(
            f"expected a marker stream in {path}, one of strings at an irregular rate or of type Markers, found none; "
            f"its streams are: {listed}. Record the markers of the presentation into the same file"
        )
    return found


def _check_streams(path: Path, streams: list[dict[str, Any]], footers: set[int]) -> list[str]:
    """Refuse streams that lack samples or the means to bring their clocks together; say which were never ended."""
    repairs = []
    for stream in streams:
        name, written = _name(stream), _written(stream)
        if len(stream["time_stamps"]) < written:
            raise RecordingError(
                f"{path} is damaged: its recorder wrote {written} samples of the stream {name!r}, "
                f"{len(stream['time_stamps'])} are there; give the whole file"
            )
        if stream["info"]["stream_id"] not in footers:
            repairs.append(
                f"{path.name} breaks off without the footer of its stream {name!r}, as when a recorder is killed: "
                "what is there was read"
            )
    measured = {_name(stream): bool(stream["clock_times"]) for stream in streams if len(stream["time_stamps"])}
    if len(set(measured.values())) > 1:
        without = ", ".join(repr(name) for name, there in measured.items() if not there)
        raise RecordingError(
            f"{path} has clock offsets of some streams, but none of {without}: their clocks cannot be brought "
            "together; record all streams with one LabRecorder"
        )
    return repairs


def _channels(path: Path, stream: dict[str, Any], unit: str | None) -> tuple[list[_Channel], list[str]]:
    """Give what the stream's description says of each channel, and what was mended in it."""
    where = f"the EEG stream {_name(stream)!r} of {path}"
    count = int(stream["info"]["channel_count"][0])
    described = _children(_child(_child(stream["info"], "desc"), "channels"), "channel")
    labels = [_text(channel, "label") for channel in described]
    repairs = []
    if not any(labels):
        described = described or [{}] * count
        labels = [str(number + 1) for number in range(count)]
        repairs.append(f"{path.name} does not name its channels: they are called 1 to {count}")
    if len(described) != count or not all(labels) or len(set(labels)) < count:
        raise RecordingError(
            f"expected a name of its own for each of the {count} channels of {where}, got "
            f"{', '.join(map(repr, labels))}: correct the stream's description (desc/channels/channel/label)"
        )
    channels = []
    for label, channel in zip(labels, described, strict=True):
        kind = _text(channel, "type").casefold() or "eeg"
        kind = "eog" if kind == "eeg" and is_eye(label) else kind
        volts = volts_in(unit or _text(channel, "unit"))
        if kind in ("eeg", "eog") and volts is None:
            raise RecordingError(
                f"expected the unit of channel {label} of {where} to be microvolts, millivolts, volts or nanovolts, "
                f"got {_text(channel, 'unit') or 'none'!r}: find out what its amplifier sends, and say so with unit=..."
            )
        channels.append(_Channel(label, kind, volts or 1.0))
    return channels, repairs


def _events(stream: dict[str, Any], start: float) -> list[Event]:
    events = []
    for stamp, sample in zip(stream["time_stamps"], stream["time_series"], strict=True):
        values = [f"{value:g}" if isinstance(value, np.floating) else str(value).strip() for value in sample]
        if any(values):
            events.append(Event(float(stamp) - start, 0.0, "/".join(value for value in values if value)))
    return events


def _name(stream: dict[str, Any]) -> str:
    return _text(stream["info"], "name")


def _written(stream: dict[str, Any]) -> int:
    """How many samples the recorder says in the stream's footer that it wrote, 0 where it does not say."""
    count = _text((stream.get("footer") or {}).get("info") or {}, "sample_count")
    return int(count) if count.isdecimal() else 0


def _children(element: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Give the elements of a name within an XML element, as pyxdf has it: lists by name, None where empty."""
    return [child if isinstance(child, dict) else {} for child in element.get(name) or []]


def _child(element: dict[str, Any], name: str) -> dict[str, Any]:
    return next(iter(_children(element, name)), {})


def _text(element: dict[str, Any], name: str) -> str:
    return str((element.get(name) or [None])[0] or "").strip()
