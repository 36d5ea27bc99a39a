"""A writer of XDF files, and EEG of many channels with positions: real parts for the tests of this folder."""

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from brainloop.eeg.positions import template_positions

NAMES = [
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "FC5", "FC1", "FC2", "FC6", "T7", "C3", "Cz", "C4", "T8", "CP5", "CP1",
    "CP2", "CP6", "P7", "P3", "Pz", "P4", "P8", "PO7", "PO3", "O1", "Oz", "O2", "PO4", "PO8",
]  # fmt: skip

DTYPES = {"double64": "<f8", "float32": "<f4", "int32": "<i4", "int16": "<i2"}


@dataclass
class Stream:
    """A stream to write: samples of shape (n, n_channels), or texts, each with its stamp."""

    name: str
    kind: str
    rate: float
    samples: list | np.ndarray
    stamps: np.ndarray
    channels: list[dict] | None = None  # of label, unit, type
    layout: str = "float32"
    offsets: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0), (100.0, 0.0)])
    footer: bool = True
    count: int | None = None  # what the footer claims


def xml(tag: str, **children: object) -> str:
    inner = "".join(
        value if str(value).startswith("<") else f"<{key}>{value}</{key}>" for key, value in children.items()
    )
    return f"<{tag}>{inner}</{tag}>"


def length(n: int) -> bytes:
    return struct.pack("<BB", 1, n) if n < 256 else struct.pack("<BI", 4, n)


def chunk(tag: int, content: bytes) -> bytes:
    return length(len(content) + 2) + struct.pack("<H", tag) + content


def samples_chunk(number: int, stream: Stream, begin: int, end: int, deduced: bool) -> bytes:
    body = struct.pack("<I", number) + length(end - begin)
    for i in range(begin, end):
        # A stamp may be left out where it follows from the one before.
        body += b"\0" if deduced and i > begin else b"\x08" + struct.pack("<d", stream.stamps[i])
        if stream.layout == "string":
            body += b"".join(length(len(text.encode())) + text.encode() for text in stream.samples[i])
        else:
            body += np.asarray(stream.samples[i], dtype=DTYPES[stream.layout]).tobytes()
    return chunk(3, body)


def write(path: Path, streams: list[Stream], chunk_size: int = 32, *, deduced: bool = False) -> Path:
    """Write an XDF 1.0 file."""
    out = [b"XDF:", chunk(1, xml("info", version="1.0").encode())]
    for number, stream in enumerate(streams, start=1):
        n_channels = len(stream.samples[0]) if len(stream.samples) else len(stream.channels or [1])
        described = "".join(xml("channel", **channel) for channel in stream.channels or [])
        header = xml(
            "info", name=stream.name, type=stream.kind, channel_count=n_channels, nominal_srate=stream.rate,
            channel_format=stream.layout, desc=f"<desc><channels>{described}</channels></desc>",
        )  # fmt: skip
        out.append(chunk(2, struct.pack("<I", number) + header.encode()))
        out += [chunk(4, struct.pack("<Idd", number, at, offset)) for at, offset in stream.offsets]
        for begin in range(0, len(stream.samples), chunk_size):
            end = min(begin + chunk_size, len(stream.samples))
            out.append(samples_chunk(number, stream, begin, end, deduced and stream.rate > 0))
    for number, stream in enumerate(streams, start=1):
        if stream.footer:
            count = len(stream.samples) if stream.count is None else stream.count
            out.append(chunk(6, struct.pack("<I", number) + xml("info", sample_count=count).encode()))
    content = b"".join(out)
    path.write_bytes(gzip.compress(content) if path.suffix == ".xdfz" else content)
    return path


@pytest.fixture(scope="session")
def write_xdf() -> Callable[..., Path]:
    return write


@pytest.fixture(scope="session")
def xdf_stream() -> type[Stream]:
    return Stream


@dataclass
class Head:
    """Two minutes of 32 channels at 128 Hz with smooth EEG, white noise of each amplifier, and thirty blinks."""

    names: list[str]
    positions: np.ndarray
    data: np.ndarray
    blinks: np.ndarray  # the course of the eyes, V
    sfreq: float = 128.0


@pytest.fixture
def head() -> Head:
    rng = np.random.default_rng(0)
    positions = template_positions(NAMES)
    n = 120 * 128
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    pink = np.fft.irfft(np.fft.rfft(rng.normal(size=(32, n))) * np.maximum(np.arange(n // 2 + 1), 60) ** -0.7, n)
    mixing = np.exp(-((distance / 0.06) ** 2))
    data = mixing @ pink
    data *= 8e-6 / data.std(axis=1, keepdims=True)
    times = np.arange(n) / 128
    blinks = sum(150e-6 * np.exp(-(((times - at) / 0.08) ** 2)) for at in np.arange(2.0, 118.0, 3.9))
    eyes = np.linalg.norm(positions - np.array([0, 0.115, 0.02]), axis=1)
    data += np.exp(-((eyes / 0.06) ** 2))[:, None] * blinks
    data += 1e-6 * rng.normal(size=data.shape)
    return Head(list(NAMES), positions, data, blinks)
