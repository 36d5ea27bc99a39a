"""Calibration: a person looks at images whose answer is known, and decoder and key are learned from it.

A plan of blocks; what is learned from the raw recording of it; whether that is enough to go on, and what may help.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._files import write_whole
from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.measure import Auc, auc_interval
from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.files import load_decoder, save_decoder
from brainloop.decoder.protocol import DecoderSettings, calibrate
from brainloop.eeg.erp import ERP, erp
from brainloop.eeg.positions import template_positions
from brainloop.eeg.preparation import Preparation, learn_preparation
from brainloop.eeg.recorder import Session
from brainloop.eeg.recordings import Recording, Run
from brainloop.eeg.source import Source, is_eye
from brainloop.errors import DecoderError, StudyError
from brainloop.observers.keys import ReactionModel
from brainloop.parts import CALIBRATION_PREVALENCE
from brainloop.presentation.block import Block

__all__ = [
    "Calibrated",
    "advice",
    "is_enough",
    "is_good",
    "learn_calibration",
    "load_calibrated",
    "plan_calibration",
    "recording_of",
    "save_calibrated",
]

SECONDS = (120.0, 240.0)
"""Least and most time of looking, s: from the first on, calibration stops as soon as it is sure of the AUC."""

TIGHT = 0.10
"""Width of the 95 % interval of the AUC at which more calibration would tell nothing new."""

GOOD = 0.65
"""Least AUC to go on with: below it, a look says so little that 1,000 of them teach next to nothing."""

MIN_TARGETS, MIN_OTHERS = 3, 20
"""Images of each class without which nothing can be calibrated."""


def plan_calibration(targets: IntArray, others: IntArray, *, block_size: int, soa: float, seed: int) -> list[Block]:
    """Plan the blocks of the longest calibration; targets are anywhere, as a study does not know where they are.

    Parameters
    ----------
    targets, others : array of int
        Ids of images whose answer is known.
    block_size : int
        Presentations in a block.
    soa : float
        Onset to onset, s.
    seed : int
        Of the order.

    Returns
    -------
    list of Block
        Of round 0, numbered from 1; no image twice in a block, and all of a class before one comes again.

    Raises
    ------
    StudyError
        If there are too few images of a class.
    """
    if len(targets) < MIN_TARGETS or len(others) < MIN_OTHERS:
        raise StudyError(
            f"calibration expects {MIN_TARGETS} or more images of what is looked for and {MIN_OTHERS} others; "
            f"{len(targets)} and {len(others)} are known. Pick some examples on the study's page"
        )
    rng = np.random.default_rng([seed, 3])
    size = min(block_size, len(targets) + len(others))
    n_targets = min(max(1, round(CALIBRATION_PREVALENCE * size)), len(targets))
    size = min(size, n_targets + len(others))
    n_blocks = int(np.ceil(SECONDS[1] / (size * soa)))
    drawn = [_deal(members, n, n_blocks, rng) for members, n in ((targets, n_targets), (others, size - n_targets))]
    orders = [rng.permutation(np.concatenate([rare, rest])) for rare, rest in zip(*drawn, strict=True)]
    return [Block(0, 1 + k, tuple(map(int, order)), soa) for k, order in enumerate(orders)]


def _deal(members: IntArray, n: int, n_blocks: int, rng: np.random.Generator) -> list[IntArray]:
    """Draw n members a block, none twice in one, each as often as the others."""
    times = np.zeros(len(members))
    hands = []
    for _ in range(n_blocks):
        hand = np.lexsort((rng.random(len(members)), times))[:n]
        times[hand] += 1
        hands.append(members[hand])
    return hands


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a person's calibration came to.

    Parameters
    ----------
    facts : dict
        Counts, AUC and interval, rejections, key: ready for JSON.
    decoder, preparation, erp : optional
        Of the headset; None where there was none.
    keys : ReactionModel, optional
        Of the key; None where there was none.
    """

    facts: dict[str, Any]
    decoder: BrainDecoder | None = None
    preparation: Preparation | None = None
    erp: ERP | None = None
    keys: ReactionModel | None = None


def recording_of(session: Session, name: str = "calibration") -> Recording:
    """Give the presentations of known class in a raw session as a recording, its channels prepared.

    Parameters
    ----------
    session : Session
        As `brainloop.eeg.recorder.read_session` gives it.
    name : str
        Of the recording.

    Returns
    -------
    Recording
        One run; flawed presentations are left out.

    Raises
    ------
    RecordingError
        If no EEG came, or no channel is good.
    StudyError
        If the session is one without a headset.
    """
    if session.info is None:
        raise StudyError(f"expected a session with a headset for {name}, found one of key presses alone")
    channels = session.info.channels
    eyes = tuple(channel for channel in channels if is_eye(channel))
    eeg = tuple(channel for channel in channels if channel not in eyes)
    rows = [channels.index(channel) for channel in (*eeg, *eyes)]
    data = session.data[rows].astype(float)
    positions = template_positions(eeg)
    source = Source(Path(name), eeg, eyes, data, positions, frozenset(), session.times, session.info.sfreq, ())
    preparation = learn_preparation([source], positions, eeg)
    onsets, is_target = _known(session)
    run = Run(preparation.on(source.channels)(data), session.times, onsets, is_target)
    known = dict(zip(eeg, positions, strict=True))
    return Recording(
        name=name,
        person=str(session.about.get("person", "")),
        session=str(session.about.get("session", "")),
        channels=preparation.outputs,
        sfreq=session.info.sfreq,
        runs=(run,),
        repairs=preparation.repairs,
        positions=np.array([known[channel] for channel in preparation.outputs]),
        preparation=preparation,
    )


def learn_calibration(
    session: Session, mode: str, settings: DecoderSettings, *, progress: Progress = no_progress
) -> Calibrated:
    """Learn decoder and key from a raw session, and say how good they are on what they were not trained on.

    Parameters
    ----------
    session : Session
        Of a calibration.
    mode : {"headset", "keyboard", "both"}
        What answered.
    settings : DecoderSettings
        How epochs are cut and decoded.
    progress : Progress
        Called with (members trained, members).

    Returns
    -------
    Calibrated
        With the AUC of what was held out, of the evidence of both together where there were both.

    Raises
    ------
    DecoderError
        If there are too few usable trials, or presses.
    RecordingError
        If no EEG came.
    """
    onsets, is_target = _known(session)
    facts: dict[str, Any] = {
        "person": session.about.get("person", ""), "session": session.about.get("session", ""), "mode": mode,
        "presentations": len(onsets), "targets": int(is_target.sum()), "seconds": _looking(onsets), "rejected": {},
    }  # fmt: skip
    if not 0 < is_target.sum() < len(is_target):
        raise DecoderError(
            f"calibration expects presentations of both classes, got {int(is_target.sum())} targets among "
            f"{len(is_target)}; look at one whole block or more"
        )
    decoder = preparation = mean = keys = None
    said, usable = np.zeros(len(onsets)), np.zeros(len(onsets), dtype=bool)
    if mode != "keyboard":
        recording = recording_of(session)
        decoder, decoding = calibrate([recording], settings, progress=progress)
        trials, preparation = decoding.trials, recording.preparation
        held_out = decoding.scored
        # Alone, scores are compared with scores; beside the key's, evidence with evidence.
        said[trials.usable] = held_out.score if mode == "headset" else held_out.evidence
        usable[trials.usable] = True
        mean = erp(trials.data[trials.usable], trials.is_target[trials.usable], trials.times, trials.channels)
        facts |= {
            "rejected": decoding.rejections, "repairs": list(recording.repairs), "channels": list(recording.channels),
            "sfreq": recording.sfreq, "auc_eeg": decoder.auc_, "auc_eeg_low": decoder.auc_low_,
            "training_trials": int(trials.usable.sum()),
        }  # fmt: skip
    if mode != "headset":
        blocks = _by_block(session)
        keys = ReactionModel.fit(*zip(*blocks, strict=True))
        said += ReactionModel.held_out(*zip(*blocks, strict=True))
        usable[:] = True
        facts["keys"] = keys.to_dict() | {"presses": sum(len(presses) for _, _, presses in blocks)}
    auc = auc_interval(is_target[usable], said[usable], seed=settings.random_state)
    facts |= {"auc": auc.value, "low": auc.low, "high": auc.high}
    return Calibrated(facts, decoder, preparation, mean, keys)


def is_enough(auc: Auc, seconds: float) -> bool:
    """Whether calibration may stop: looked at for long enough, and sure of the AUC."""
    return seconds >= SECONDS[0] and auc.high - auc.low <= TIGHT


def is_good(auc: Auc) -> bool:
    """Whether to go on with it: better than chance beyond doubt, and good enough to teach."""
    return auc.low > 0.5 and auc.value >= GOOD


def advice(facts: Mapping[str, Any], faults: Mapping[str, str]) -> list[str]:
    """Say what may help a calibration, most likely first.

    Parameters
    ----------
    facts : mapping
        Of `Calibrated`.
    faults : mapping of str to str
        What is wrong with channels, by name.
    """
    said = []
    if faults:
        named = ", ".join(f"{name} ({fault})" for name, fault in list(faults.items())[:4])
        said.append(f"See to these electrodes: {named}.")
    lost = sum(facts["rejected"].values())
    if lost > 0.1 * facts["presentations"]:
        worst = max(facts["rejected"], key=facts["rejected"].get)
        said.append(f"{lost} of {facts['presentations']} responses were rejected, most for '{worst}': sit still, relax "
                    "jaw and forehead, blink between blocks.")  # fmt: skip
    keys = facts.get("keys")
    if keys and keys["hit_rate"] < 0.6:
        said.append(f"{1 - keys['hit_rate']:.0%} of the targets had no press: slow down (a longer SOA), and press at "
                    "the first impression.")  # fmt: skip
    if keys and 60 * keys["false_rate"] > 20:
        said.append("There were many presses without a target: press only when you are fairly sure.")
    if not is_good(Auc(facts["auc"], facts["low"], facts["high"])):
        if facts["targets"] < 40:
            said.append("Calibrate for longer: there were few targets.")
        if facts["mode"] != "keyboard":
            said.append("Count the targets silently: attention makes the P300.")
            said.append("Show images more slowly, with an SOA of .25 s or more.")
        said.append("Look for something that can be told at a glance; examples that differ less from the rest than a "
                    "glance can tell teach nothing.")  # fmt: skip
    return said


def save_calibrated(calibrated: Calibrated, folder: Path) -> None:
    """Write what was learned into a person's folder, in place of what was there; `calibration.json` comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    if calibrated.decoder is not None and calibrated.preparation is not None:
        save_decoder(calibrated.decoder, folder / "decoder.safetensors")
        about = asdict(calibrated.preparation) | {"matrix": calibrated.preparation.matrix.tolist()}
        write_whole(folder / "preparation.json", json.dumps(about).encode())
    if calibrated.keys is not None:
        write_whole(folder / "keys.json", json.dumps(calibrated.keys.to_dict()).encode())
    mean = calibrated.erp
    averages = mean and {
        "mean": mean.mean.tolist(), "half_width": mean.half_width.tolist(), "n": list(mean.n),
        "times": mean.times.tolist(), "channels": list(mean.channels),
    }  # fmt: skip
    write_whole(folder / "calibration.json", json.dumps(calibrated.facts | {"erp": averages}).encode())


_FILES = ("calibration.json", "decoder.safetensors", "preparation.json", "keys.json")


def load_calibrated(folder: Path) -> Calibrated | None:
    """Read what `save_calibrated` wrote; None where there is nothing.

    Raises
    ------
    DecoderError, StudyError
        If a file is damaged; calibrate again.
    """
    if not (folder / "calibration.json").exists():
        return None
    facts, said, keys = (_json(folder / name) for name in ("calibration.json", "preparation.json", "keys.json"))
    decoder = preparation = mean = None
    if said is not None:
        decoder = load_decoder(folder / "decoder.safetensors")
        matrix = np.array(said["matrix"], dtype=float).reshape(len(said["outputs"]), len(said["inputs"]))
        names = (tuple(said["inputs"]), tuple(said["outputs"]))
        preparation = Preparation(*names, matrix, tuple(said["repairs"]))
    if (averages := facts.pop("erp", None)) is not None:
        arrays = {name: np.array(averages[name]) for name in ("mean", "half_width", "times")}
        mean = ERP(**arrays, n=tuple(averages["n"]), channels=tuple(averages["channels"]))
    return Calibrated(facts, decoder, preparation, mean, keys and ReactionModel.from_dict(keys))


def _json(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StudyError(f"expected JSON that brainloop wrote at {path}: {error}; calibrate again") from error


def _presentations(session: Session) -> list[dict[str, Any]]:
    return [
        event
        for event in session.events
        if event["event"] == "presentation" and event["target"] is not None and event["flaw"] is None
    ]


def _known(session: Session) -> tuple[FloatArray, BoolArray]:
    """Give the onsets of flawless presentations of known class, and the class."""
    known = sorted(_presentations(session), key=lambda event: event["t"])
    return np.array([event["t"] for event in known]), np.array([event["target"] for event in known], dtype=bool)


def _by_block(session: Session) -> list[tuple[FloatArray, BoolArray, FloatArray]]:
    """Give onsets, classes and presses of each block; a press belongs to the block that began last before it."""
    known = sorted(_presentations(session), key=lambda event: event["t"])
    numbers = list(dict.fromkeys(event["block"] for event in known))
    blocks = [[event for event in known if event["block"] == number] for number in numbers]
    presses = np.array(sorted(event["t"] for event in session.events if event["event"] == "press"))
    begins = [block[0]["t"] for block in blocks]
    owner = np.searchsorted(begins, presses, side="right") - 1
    return [
        (
            np.array([event["t"] for event in block]),
            np.array([event["target"] for event in block], dtype=bool),
            presses[owner == k],
        )
        for k, block in enumerate(blocks)
    ]


def _looking(onsets: FloatArray) -> float:
    """Time spent looking, s: the sum of onset to onset, without rests."""
    steps = np.diff(onsets)
    return float(steps[steps < 2.0].sum()) if len(steps) else 0.0
