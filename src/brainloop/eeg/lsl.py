"""Headsets that publish by the Lab Streaming Layer (LSL)."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.live_dejitter import LiveDejitter
from brainloop.eeg.xdf import volts_in
from brainloop.errors import RecordingError

__all__ = ["LslHeadset", "find_streams", "local_clock", "quiet_liblsl"]

BUFFER = 360
"""Samples that liblsl keeps for us while nobody pulls, s."""

AT_ONCE = 1024
"""Samples that are taken out of that buffer at a time."""

CONNECT = 5.0
"""How long to wait for a stream that should be there, s."""

MICROVOLT = 1e-6
"""What nearly every amplifier sends; one that does not say what it sends, or counts steps, is taken to send them."""


def local_clock() -> float:
    """Give the time on the clock of all streams, markers and onsets, s: liblsl's, a steady clock of this machine."""
    import pylsl

    return float(pylsl.local_clock())


def quiet_liblsl() -> None:
    """Keep liblsl's own log off the terminal, before its first use; people with a configuration of theirs keep it."""
    import pylsl

    theirs = [Path("lsl_api.cfg"), Path.home() / "lsl_api" / "lsl_api.cfg", Path("/etc/lsl_api/lsl_api.cfg")]
    if "LSLAPICFG" not in os.environ and not any(path.exists() for path in theirs):
        pylsl.set_config_content("[log]\nlevel = -3\n")


def find_streams(wait: float = 1.0) -> list[HeadsetInfo]:
    """List the streams with EEG that are published on this network: of type EEG, or with channels of it.

    Parameters
    ----------
    wait : float
        How long to listen, s.
    """
    import pylsl

    found = []
    for stream in pylsl.resolve_streams(wait):
        if stream.nominal_srate() > 0 and stream.channel_format() != pylsl.cf_string:
            try:
                full = pylsl.StreamInlet(stream, recover=False).info(timeout=CONNECT)
            except (TimeoutError, RuntimeError):
                continue  # it went while we looked
            info, _ = _describe(full)
            if info.channels:
                found.append(info)
    return sorted(found, key=lambda info: info.id)


class LslHeadset:
    """An LSL stream of EEG; see `brainloop.eeg.headset.Headset`.

    An outlet that vanishes is waited for: one with a source id comes back by itself, and the gap is in the timestamps.

    Parameters
    ----------
    name : str
        Source id of the stream, or its name.

    Attributes
    ----------
    info : HeadsetInfo
        What it is.

    Raises
    ------
    RecordingError
        If there is no such stream, several have the name, or it has no EEG channel or no regular rate.

    Notes
    -----
    liblsl brings the clocks together. Its smoothing of timestamps, which ``proc_ALL`` includes, was measured and left
    out, as it has no notion of a gap: after half a second of missing samples its timestamps were 497 ms off, 372 ms two
    seconds later, 193 ms six seconds later and 125 ms to the other side after half a minute; after five seconds,
    4,995 ms; and no step between two timestamps was longer than 7 ms (liblsl 1.18, 250 Hz, timestamps true to 5 ms;
    without it they stay so). Every epoch of that time would have been cut at the wrong place. `LiveDejitter` takes its
    place.
    """

    def __init__(self, name: str) -> None:
        import pylsl

        flags = pylsl.proc_clocksync | pylsl.proc_threadsafe
        self._inlet = pylsl.StreamInlet(_resolve(name), max_buflen=BUFFER, recover=True, processing_flags=flags)
        try:
            full = self._inlet.info(timeout=CONNECT)
            self._inlet.open_stream(timeout=CONNECT)
        except (TimeoutError, RuntimeError) as error:
            raise RecordingError(
                f"the LSL stream {name!r} is announced, but does not answer ({error}): open the firewall for TCP ports "
                "16572 to 16604, and connect again"
            ) from error
        self.info, self._rows = _describe(full)
        if not self.info.channels:
            raise RecordingError(f"expected EEG channels in the LSL stream {name!r}, found none by their type")
        if not self.info.sfreq > 0:
            raise RecordingError(f"expected a regular sampling rate of the LSL stream {name!r}, got an irregular one")
        self._dejitter = LiveDejitter(self.info.sfreq)
        self._held = np.zeros((len(self._rows.order), 0), dtype=np.float32)

    def pull(self) -> Chunk:
        """Give what has come since the last call; see `Headset.pull`."""
        parts, stamps = [self._held], []
        try:
            while True:
                samples, times = self._inlet.pull_chunk(timeout=0.0, max_samples=AT_ONCE, as_numpy=True)
                parts.append((samples[:, self._rows.order] * self._rows.volts).T.astype(np.float32))
                stamps.append(times)
                if len(times) < AT_ONCE:
                    break
        except RuntimeError as error:
            raise RecordingError(
                f"{self.info.name} is gone for good ({error}), as its LSL stream has no source id to know it by: "
                "connect it again"
            ) from error
        data = np.concatenate(parts, axis=1)
        decided = self._dejitter(np.concatenate(stamps))
        self._held = data[:, len(decided) :]
        later = np.isfinite(decided)
        return Chunk(decided[later], np.ascontiguousarray(data[:, : len(decided)][:, later]), local_clock())

    def close(self) -> None:
        """Let go of the stream."""
        self._inlet.close_stream()


class _Rows(NamedTuple):
    order: list[int]  # of the stream's channels: EEG first
    volts: FloatArray  # in one unit of each, 1 where it is no EEG


def _resolve(name: str) -> Any:
    """Give the one stream with a source id, or with a name."""
    import pylsl

    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    found = pylsl.resolve_bypred(f"source_id={quoted} or name={quoted}", 1, CONNECT)
    if found and not any(stream.source_id() == name for stream in found):
        # The first answer came; others by the same name may still be on their way.
        found = pylsl.resolve_bypred(f"name={quoted}", 1000, 1.0) or found
    if not found:
        there = ", ".join(info.id for info in find_streams()) or "none"
        raise RecordingError(
            f"expected an LSL stream with the source id or name {name!r}; EEG streams there are: {there}. Switch "
            "the headset and its LSL app on, and see docs/lab.md on firewalls and networks"
        )
    found = [stream for stream in found if stream.source_id() == name] or found
    if len({stream.source_id() for stream in found}) > 1:
        ids = ", ".join(sorted(f"lsl:{stream.source_id()}" for stream in found))
        raise RecordingError(f"several LSL streams are called {name!r}; choose one by its source id: {ids}")
    return found[0]


def _describe(full: Any) -> tuple[HeadsetInfo, _Rows]:
    """Read a stream's description; where it says nothing of its channels, they are those of its type, numbered."""
    stream = full.type().strip().casefold()
    count = full.channel_count()
    described = ET.fromstring(full.as_xml()).findall("./desc/channels/channel")  # noqa: S314
    if len(described) != count:
        described = [ET.Element("channel")] * count
    is_eeg = [((one.findtext("type") or "").strip().casefold() or stream) == "eeg" for one in described]
    labels = _unique([(one.findtext("label") or "").strip() for one in described], is_eeg)
    order = sorted(range(count), key=lambda k: not is_eeg[k])
    units = [volts_in(one.findtext("unit") or "") or MICROVOLT for one in described]
    info = HeadsetInfo(
        id=f"lsl:{full.source_id() or full.name()}",
        name=full.name(),
        channels=tuple(labels[k] for k in order if is_eeg[k]),
        aux=tuple(labels[k] for k in order if not is_eeg[k]),
        sfreq=float(full.nominal_srate()),
    )
    return info, _Rows(order, np.array([units[k] if is_eeg[k] else 1.0 for k in order]))


def _unique(labels: Sequence[str], is_eeg: Sequence[bool]) -> list[str]:
    """Give a number to channels without a label, and to those whose label another one has, in whatever case."""
    unique: list[str] = []
    for number, (label, eeg) in enumerate(zip(labels, is_eeg, strict=True), 1):
        name = label = label or f"{'EEG' if eeg else 'AUX'} {number}"
        again = 2
        while name.casefold() in map(str.casefold, unique):
            name, again = f"{label}-{again}", again + 1
        unique.append(name)
    return unique
