"""The protocol of an observer, and the observer that a study's settings name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
from zlib import crc32

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.classifier.features import Projection
from brainloop.classifier.system import SYSTEMS
from brainloop.eeg.erp import ERP
from brainloop.errors import SettingsError, StudyError
from brainloop.presentation.block import Block, Response
from brainloop.settings import Settings
from brainloop.study import Study, StudyData

__all__ = ["Observer", "make_observer"]


class Observer(Protocol):
    """Whoever answers a block: a person with a headset or a key, a recording, a simulation.

    Attributes
    ----------
    soa : float
        Onset to onset at which this observer looks, s.
    facts : dict
        What a report should say of this observer; ready for JSON.
    """

    soa: float
    facts: dict[str, Any]

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        """Answer a block's presentations from number `start` on, one response each, in order.

        `start` is above 0 where the study was interrupted within the block: the responses before it are known already.
        """
        ...

    def recall(self, blocks: Sequence[Block]) -> None:
        """Be told, once and before the first `respond`, of blocks that were answered before this observer was made."""
        ...

    def erps(self) -> Mapping[str, ERP]:
        """Give mean responses for the report, by the name of the recording; empty where there is no EEG."""
        ...


def make_observer(
    study: Study, data: StudyData, progress: Progress = no_progress, *, station: str = "local"
) -> Observer:
    """Make the observer that a study's settings name.

    Parameters
    ----------
    study : Study
        The study.
    data : StudyData
        Its pool, with the truth.
    progress : Progress
        Called with (recordings decoded, recordings).
    station : str
        Where it looks: at each station of a shared study there is another simulated person.

    Raises
    ------
    SettingsError
        If the settings leave the observer to the caller.
    RecordingError, DecoderError
        If a recording cannot be used.
    """
    from brainloop.observers.answers import decode
    from brainloop.observers.hardness import hardness
    from brainloop.observers.oracle import Oracle
    from brainloop.observers.replay import Replay
    from brainloop.observers.simulated import Simulated

    settings: Settings = study.settings
    if settings.observer == "own":
        raise SettingsError("this study's observer is 'own': hand one to brainloop.run(study, observer)")
    if settings.observer == "live":
        raise SettingsError(f"this study is looked at by a person: brainloop studio {study.folder}")
    if data.truth is None:
        raise StudyError(
            f"a {settings.observer} observer needs class folders; {settings.images} has none for "
            f"{' and '.join(settings.names)}"
        )
    if SYSTEMS[settings.system].told_truth:
        return Oracle(data.truth, soa=settings.soa or 0.2)
    hard: dict[str, FloatArray] | None = None
    if settings.difficulty > 0:
        # In the linear projection, whatever the head: an image is as hard for one system as for another.
        features = Projection.fit(data.pool)(data.pool)
        hard = {
            target: hardness(features, is_target, seed=settings.seed)
            for target, is_target in data.truth.items()
            if 0 < is_target.sum() < is_target.size
        }
    how: dict[str, Any] = {"decoder": settings.decoder, "calibration": settings.calibration}
    # Python's own hash of a text differs from process to process.
    seed = settings.seed if station == "local" else settings.seed + 1 + crc32(station.encode())
    draws: dict[str, Any] = {"hardness": hard, "difficulty": settings.difficulty, "seed": seed}
    if settings.observer == "simulated":
        return Simulated(data.truth, soa=settings.soa or 0.2, **how, **draws)
    from brainloop.eeg.recordings import read_recordings

    recordings = read_recordings(settings.recordings, target=settings.target_event, nontarget=settings.nontarget_event)
    return Replay(decode(recordings, **how, progress=progress), data.truth, **draws)
