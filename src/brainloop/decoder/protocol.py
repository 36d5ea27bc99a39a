"""Recordings decoded without a leak: which trials train, and which are scored."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from scipy.special import expit, logit

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.decoder.decoder import BrainDecoder, contributions
from brainloop.decoder.evaluation import SPLITS, Scored, score_folds, score_trials, scoring_ms
from brainloop.decoder.split import FIRST_SHARE, first_share, in_blocks
from brainloop.decoder.transfer import Person, transfer
from brainloop.eeg.epochs import Trials, epoch_recording
from brainloop.eeg.layout import Layout
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import DecoderError, RecordingError, SettingsError
from brainloop.evidence import Calibration, Method

__all__ = ["DecoderSettings", "Decoding", "calibrate", "decode_recordings", "join", "part"]

Cut = tuple[FloatArray, BoolArray, FloatArray, IntArray]


@dataclass(frozen=True)
class DecoderSettings:
    """How recordings are epoched and decoded.

    Attributes
    ----------
    method : str
        Name in `brainloop.decoder.members.METHODS`.
    calibration : {"platt", "isotonic", "beta"}
        How scores become evidence.
    random_state : int
        See `BrainDecoder`.
    signal : Signal
        Band, window and limits.
    """

    method: str = "ensemble"
    calibration: Method = "platt"
    random_state: int = 0
    signal: Signal = Signal()  # noqa: RUF009


@dataclass(frozen=True, eq=False)
class Decoding:
    """A recording whose usable trials were scored by decoders that were not trained on them.

    Attributes
    ----------
    recording : Recording
        With the channels that were decoded.
    trials : Trials
        All presentations, the rejected ones too.
    scored : Scored
        Its `trials` are indices among the usable ones.
    trained_on : str
        In words, for a caption.
    contributions : dict of dict
        Of each member, by name: `auc`, that of its scores alone, and `without`, that of the mean of the others (None
        for a single member). Empty where a decoder has no members of its own.
    """

    recording: Recording
    trials: Trials
    scored: Scored
    trained_on: str
    contributions: dict[str, dict[str, Any]]

    @property
    def rejections(self) -> dict[str, int]:
        """Number of rejected presentations by reason, the most frequent first."""
        return dict(Counter(str(reason) for reason in self.trials.rejected if reason is not None).most_common())


def decode_recordings(
    recordings: Sequence[Recording],
    settings: DecoderSettings,
    *,
    by: str = "blocks",
    train_on: Sequence[Recording] = (),
    progress: Progress = no_progress,
) -> list[Decoding]:
    """Score every recording by decoders that never saw the trials they score.

    Parameters
    ----------
    recordings : sequence of Recording
        To be scored. People are told apart by data set and `person`.
    settings : DecoderSettings
        How they are epoched and decoded.
    by : {"blocks", "time", "session", "person"}
        What is held out: each of five blocks in time; the last 60 % of a recording; each session of a person, with the
        person's others for training; each person, with all others.
    train_on : sequence of Recording
        What trains in place of that, if any: decoders of the same person's sessions, with other people's where given.
    progress : Progress
        Called with (done, total) as folds or members are trained.

    Returns
    -------
    list of Decoding
        One a recording, in order.

    Raises
    ------
    SettingsError
        If `by` or the method is unknown.
    RecordingError
        If there is nobody else to train on, a recording is both trained on and scored, or recordings that meet share
        no channel or differ in rate.
    DecoderError
        If there are too few trials to train on; see `BrainDecoder.fit`.
    """
    if by not in SPLITS:
        raise SettingsError(f"expected a split by one of {', '.join(SPLITS)}, got {by!r}")
    twice = [one.name for one in recordings if any(_same(one, other) for other in train_on)]
    if twice:
        raise RecordingError(
            f"expected recordings to score that are not trained on, got {', '.join(twice)} in both: a decoder has "
            "memorised what trained it; leave them out of one of the two"
        )
    within = by in ("blocks", "time") and not train_on
    pools = [[] if within else train_on or _others(tested, recordings, by) for tested in recordings]
    decoded = []
    for number, (tested, pool) in enumerate(zip(recordings, pools, strict=True)):
        share = part(progress, number, len(recordings))
        with _named(tested):
            decoded.append(_across(tested, pool, settings, share) if pool else _within(tested, settings, by, share))
    return decoded


def calibrate(
    recordings: Sequence[Recording], settings: DecoderSettings, *, progress: Progress = no_progress
) -> tuple[BrainDecoder, Decoding]:
    """Train a person's decoder on all of their recordings, and score each trial by those of its parts that held it out.

    Parameters
    ----------
    recordings : sequence of Recording
        Sessions of one person.
    settings : DecoderSettings
        How they are epoched and decoded.
    progress : Progress
        Called with (members trained, members).

    Returns
    -------
    BrainDecoder
        Trained on every usable trial.
    Decoding
        By its out-of-fold scores, calibrated on the other blocks' alone.

    Raises
    ------
    RecordingError
        If the recordings are of several people, share no channel or differ in rate.
    DecoderError
        If there are too few trials to train on; see `BrainDecoder.fit`.
    """
    people = sorted({_person(recording) for recording in recordings})
    if len(people) > 1:
        raise RecordingError(
            f"expected recordings of one person, got those of {len(people)}: "
            f"{', '.join('/'.join(person) for person in people)}; calibrate a study for each"
        )
    recording = join(recordings)
    trials, (X, y, onsets, runs) = _cut(recording, settings)
    decoder = BrainDecoder(settings.method, settings.calibration, settings.random_state)
    begun = perf_counter()
    with _named(recording):
        decoder.fit(X, y, onsets=onsets, runs=runs, layout=_layout(recording, settings), progress=progress)
    fit_s = perf_counter() - begun
    evidence = np.empty(len(y))  # by a calibration that held the block out too
    for rest, block in in_blocks(onsets, runs, purge=settings.signal.duration):
        calibration = Calibration.fit(decoder.held_out_[rest], y[rest], settings.calibration)
        evidence[block] = calibration.evidence(decoder.held_out_[block])
    scored = Scored(
        trials=np.arange(len(y)),
        is_target=y,
        score=decoder.held_out_,
        evidence=evidence,
        probability=expit(evidence + logit(decoder.prevalence_)),
        members={},
        fit_s=fit_s,
        score_ms=scoring_ms(decoder.evidence, X),
    )
    return decoder, Decoding(recording, trials, scored, "the other four of five blocks in time", decoder.contributions_)


def join(recordings: Sequence[Recording]) -> Recording:
    """Give sessions as one recording: their runs one after another, with the channels that all have.

    Parameters
    ----------
    recordings : sequence of Recording
        One or more.

    Returns
    -------
    Recording
        Channels in the first one's order and names; person, data set and positions are the first one's too.

    Raises
    ------
    RecordingError
        If no channel is in all of them, or sampling rates differ.
    """
    first = recordings[0]
    if len(recordings) == 1:
        return first
    sets = [{name.casefold() for name in recording.channels} for recording in recordings]
    shared = [name for name in first.channels if name.casefold() in set.intersection(*sets)]
    if not shared:
        raise RecordingError(
            "expected a channel that all recordings have, got "
            + "; ".join(f"{recording.name}: {', '.join(recording.channels)}" for recording in recordings)
            + ". Give recordings of the same electrodes"
        )
    for other in recordings:
        if other.sfreq != first.sfreq:
            raise RecordingError(
                f"expected one sampling rate, got {first.sfreq:g} Hz in {first.name} and {other.sfreq:g} Hz in "
                f"{other.name}: resample one, or decode them apart"
            )
    alike = [recording.pick(shared) for recording in recordings]
    return replace(
        alike[0],
        name=f"{first.person}, {len(alike)} sessions",
        session=", ".join(dict.fromkeys(recording.session for recording in alike if recording.session)),
        runs=tuple(run for recording in alike for run in recording.runs),
        repairs=tuple(f"{recording.name}: {said}" for recording in alike for said in recording.repairs),
    )


@contextmanager
def _named(recording: Recording) -> Iterator[None]:
    """Say in a decoder's error which recording it is about."""
    try:
        yield
    except DecoderError as error:
        raise DecoderError(f"{recording.name}: {error}") from error


def part(progress: Progress, number: int, total: int) -> Progress:
    """Give the progress of one of several equal parts of a work."""
    return lambda done, of: progress(number * of + done, total * of)


def _within(recording: Recording, settings: DecoderSettings, by: str, progress: Progress) -> Decoding:
    """Hold out parts of the recording itself."""
    trials, (X, y, onsets, runs) = _cut(recording, settings)
    purge = settings.signal.duration
    if by == "blocks":
        folds, words = in_blocks(onsets, runs, purge=purge), "the other four of five blocks in time"
    else:
        folds = [first_share(onsets, runs, purge=purge)]
        words = f"the first {100 * FIRST_SHARE:g} % of the recording"
    scored = score_folds(
        X, y, onsets, runs, folds, method=settings.method, random_state=settings.random_state,
        layout=_layout(recording, settings), progress=progress,
    )  # fmt: skip
    return Decoding(recording, trials, scored, words, _contributions(scored))


def _across(tested: Recording, pool: Sequence[Recording], settings: DecoderSettings, progress: Progress) -> Decoding:
    """Hold out a whole recording, and train on others: the person's own, with other people's where there are any."""
    channels = join([tested, *pool]).channels
    tested, *picked = (recording.pick(channels) for recording in (tested, *pool))
    people: dict[tuple[str, str], list[Recording]] = {}
    for recording in picked:
        people.setdefault(_person(recording), []).append(recording)
    own = people.pop(_person(tested), [])
    words = [f"{len(own)} other session{'s' if len(own) > 1 else ''} of the person"] if own else []
    words += [f"{len(people)} other {'people' if len(people) > 1 else 'person'}"] if people else []
    trials, (X, y, _, _) = _cut(tested, settings)
    layout = _layout(tested, settings)
    others = [_gathered(sessions, settings) for sessions in people.values()]
    mine = _gathered(own, settings) if own else None
    begun = perf_counter()
    if mine is not None and not others:
        decoder = BrainDecoder(settings.method, settings.calibration, settings.random_state).fit(
            mine.X, mine.y, onsets=mine.onsets, runs=mine.runs, layout=layout, progress=progress
        )
    else:
        decoder = transfer(
            others, mine, X, method=settings.method, calibration=settings.calibration,
            random_state=settings.random_state, layout=layout, progress=progress,
        )  # fmt: skip
        words[-1] += ", aligned by its own epochs without their labels"
    fit_s = perf_counter() - begun
    scored = score_trials(decoder, X, y, np.arange(len(y)), fit_s=fit_s, layout=layout)
    return Decoding(tested, trials, scored, " and ".join(words), _contributions(scored))


def _gathered(sessions: Sequence[Recording], settings: DecoderSettings) -> Person:
    return Person(*_cut(join(sessions), settings)[1])


def _others(tested: Recording, recordings: Sequence[Recording], by: str) -> list[Recording]:
    """Give the person's other sessions, or everybody else's."""
    mine = by == "session"
    found = [
        other for other in recordings if other is not tested and (_person(other) == _person(tested)) is mine
    ]  # fmt: skip
    if not found:
        wanted = f"another session of {tested.person}" if mine else f"another person than {tested.person}"
        raise RecordingError(
            f"expected recordings of {wanted} beside {tested.name} to train on, found none: give more recordings, or "
            "decode it --by blocks"
        )
    return found


def _person(recording: Recording) -> tuple[str, str]:
    return recording.dataset, recording.person


def _same(one: Recording, other: Recording) -> bool:
    return (one.dataset, one.name) == (other.dataset, other.name)


def _layout(recording: Recording, settings: DecoderSettings) -> Layout:
    return Layout.of(recording.channels, recording.sfreq, settings.signal)


def _cut(recording: Recording, settings: DecoderSettings) -> tuple[Trials, Cut]:
    """Give all trials, and of the usable ones epochs, classes, onsets and runs."""
    trials = epoch_recording(recording, settings.signal)
    usable = trials.usable
    return trials, (trials.data[usable], trials.is_target[usable], trials.onsets[usable], trials.runs[usable])


def _contributions(scored: Scored) -> dict[str, dict[str, Any]]:
    return contributions(scored.members, scored.is_target)
