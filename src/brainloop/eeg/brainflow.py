"""Headsets by BrainFlow: OpenBCI and some fifty more, by USB, Bluetooth and Wi-Fi."""

import sys
import time
from importlib import resources
from typing import Any

import numpy as np

from brainloop._types import FloatArray, IntArray
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.live_dejitter import LiveDejitter
from brainloop.eeg.lsl import local_clock
from brainloop.errors import MissingExtraError, RecordingError, SettingsError

__all__ = ["BrainFlowHeadset"]

BUFFER = 360
"""Samples that BrainFlow keeps for us while nobody pulls, s."""

LEARN = 64
"""Packets after which it is known by how much their numbers rise."""


class BrainFlowHeadset:
    """A board that BrainFlow knows; see `brainloop.eeg.headset.Headset`.

    Its unix timestamps go to the clock of LSL by the difference of the two clocks at each pull, so that a clock that is
    set right by the network does no harm, and are freed of jitter. Numbers that are missing among its packets are gaps.

    Parameters
    ----------
    board : str
        BrainFlow's name of the board, or its number; where it needs one, with its serial port, its address (IP or MAC)
        or its own name after a colon: ``synthetic``, ``cyton:/dev/ttyUSB0``, ``galea:192.168.1.10``, ``muse_2``.

    Attributes
    ----------
    info : HeadsetInfo
        What it is.

    Raises
    ------
    MissingExtraError
        If BrainFlow is not installed.
    SettingsError
        If BrainFlow knows no such board.
    RecordingError
        If the board does not answer, or has no EEG.
    """

    def __init__(self, board: str) -> None:
        name, _, where = board.partition(":")
        shim = _load()
        number = _number(shim, name)
        description = shim.BoardShim.get_board_descr(number)
        eeg = list(description.get("eeg_channels", []))
        if not eeg:
            raise RecordingError(f"expected a board with EEG, BrainFlow knows of none on {description['name']}")
        self._stamps, self._numbers = description["timestamp_channel"], description.get("package_num_channel")
        aux = [row for row in range(description["num_rows"]) if row not in (*eeg, self._stamps, self._numbers)]
        self._rows = eeg + aux
        self._scale = np.array([[1e-6]] * len(eeg) + [[1.0]] * len(aux))
        given = description.get("eeg_names", "").split(",")
        named = len(given) == len(set(given)) == len(eeg)
        self.info = HeadsetInfo(
            id=f"brainflow:{board}",
            name=description["name"],
            channels=tuple(given) if named else tuple(f"EEG {k + 1}" for k in range(len(eeg))),
            aux=tuple(f"{_kind(description, row)} {row}" for row in aux),
            sfreq=float(description["sampling_rate"]),
        )
        self._dejitter = LiveDejitter(self.info.sfreq)
        self._held = np.zeros((len(self._rows), 0), dtype=np.float32)
        self._steps: list[int] = []
        self._step = 0  # by which packets' numbers rise; 0 while that is not known
        self._packet: int | None = None
        self._board = shim.BoardShim(number, _inputs(shim, where))
        try:
            self._board.prepare_session()
            self._board.start_stream(round(BUFFER * self.info.sfreq))
        except shim.BrainFlowError as error:
            self.close()
            raise RecordingError(
                f"{self.info.name} does not answer ({error}): switch it on, and give its port or address as "
                f"brainflow:{name}:/dev/ttyUSB0 or brainflow:{name}:ADDRESS"
            ) from error

    def pull(self) -> Chunk:
        """Give what has come since the last call; see `Headset.pull`."""
        try:
            came = self._board.get_board_data()
        except Exception as error:
            raise RecordingError(f"{self.info.name} is gone ({error}): connect it again") from error
        arrived = local_clock()
        stamps = came[self._stamps] + (arrived - time.time())
        decided = self._dejitter(stamps, self._lost(came))
        data = np.concatenate([self._held, (came[self._rows] * self._scale).astype(np.float32)], axis=1)
        self._held = data[:, len(decided) :]
        later = np.isfinite(decided)
        return Chunk(decided[later], np.ascontiguousarray(data[:, : len(decided)][:, later]), arrived)

    def close(self) -> None:
        """Let go of the board."""
        if self._board.is_prepared():
            self._board.release_session()

    def _lost(self, came: FloatArray) -> IntArray:
        """Count the samples that are missing before each, by the numbers of their packets.

        Numbers begin again at a board's own limit, and rise by one or by more a sample: only a step up that is a
        multiple of the usual one is a loss, and what is lost as they begin again is left to the timestamps. So is all
        that a board loses several of whose samples share a number.
        """
        lost = np.zeros(came.shape[1], dtype=int)
        if self._numbers is None or came.shape[1] == 0:
            return lost
        numbers = came[self._numbers].astype(int)
        steps = np.diff(numbers, prepend=numbers[0] - 1 if self._packet is None else self._packet)
        self._packet = int(numbers[-1])
        if (steps == 0).any():
            self._numbers = None
        elif self._step:
            skipped = (steps > self._step) & (steps % self._step == 0)
            lost[skipped] = steps[skipped] // self._step - 1
        else:
            self._steps += steps[steps > 0].tolist()
            if len(self._steps) >= LEARN:
                self._step = int(np.median(self._steps))
        return lost


def _load() -> Any:
    """Import BrainFlow, and have it keep its log to itself."""
    try:
        from brainflow import board_shim
    except ImportError as error:
        raise MissingExtraError("brainflow", "brainflow", "a BrainFlow headset", error) from error
    if sys.version_info < (3, 12):
        # It asks for the files of a module, which importlib gives from 3.12 on, and else needs an old setuptools.
        board_shim.files = lambda _: resources.files("brainflow")
    board_shim.BoardShim.disable_board_logger()
    return board_shim


def _number(shim: Any, name: str) -> int:
    boards = {board.name.removesuffix("_BOARD").casefold(): board.value for board in shim.BoardIds}
    wanted = name.strip().casefold().removesuffix("_board")
    if wanted in boards:
        return int(boards[wanted])
    numbers = {str(number) for number in boards.values()} - {str(shim.BoardIds.NO_BOARD.value)}
    if wanted in numbers:
        return int(wanted)
    known = ", ".join(sorted(boards.keys() - {"no"}))
    raise SettingsError(f"expected a board that BrainFlow knows, got {name!r}; it knows: {known}")


def _inputs(shim: Any, where: str) -> Any:
    """Give BrainFlow what stands after the colon, by what it looks like."""
    inputs = shim.BrainFlowInputParams()
    parts = where.replace("-", ":").split(":")
    if len(parts) == 6 and all(len(part) == 2 for part in parts):
        inputs.mac_address = where
    elif where.count(".") == 3 and where.replace(".", "").isdecimal():
        inputs.ip_address = where
    elif where.startswith(("/", "COM", "\\\\")):
        inputs.serial_port = where
    else:
        inputs.serial_number = where
    return inputs


def _kind(description: dict[str, Any], row: int) -> str:
    """Give BrainFlow's word for a row of its data: accel, gyro, battery, marker and so on."""
    for key, rows in description.items():
        if key.endswith(("_channels", "_channel")) and row in (rows if isinstance(rows, list) else [rows]):
            return key.removesuffix("s").removesuffix("_channel")
    return "other"
