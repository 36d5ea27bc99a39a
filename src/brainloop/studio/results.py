"""What the page shows of a study's results, and of a person's calibration."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from brainloop._types import FloatArray
from brainloop.calibration import advice, is_enough, is_good, load_calibrated
from brainloop.classifier.measure import Auc, expected_auc
from brainloop.eeg.erp import ERP
from brainloop.errors import SettingsError
from brainloop.exports import ImageResult, image_results
from brainloop.report.findings import find
from brainloop.studio.plain import plain
from brainloop.study import Study

if TYPE_CHECKING:
    from brainloop.eeg.headset_check import ChannelQuality

__all__ = ["Results", "calibration_state"]


def calibration_state(
    folder: Path, mode: str, quality: "Sequence[ChannelQuality]", *, accepted: bool
) -> dict[str, Any] | None:
    """Give what the page shows of a person's calibration; None where there is none for what is to answer.

    Parameters
    ----------
    folder : Path
        The person's.
    mode : {"headset", "keyboard", "both"}
        What is to answer.
    quality : sequence of ChannelQuality
        Of the headset's channels now.
    accepted : bool
        Whether the person went on with it before.
    """
    calibrated = load_calibrated(folder)
    if calibrated is None:
        return None
    has = {"headset": calibrated.decoder is not None, "keyboard": calibrated.keys is not None}
    if not all(has.values()) if mode == "both" else not has[mode]:
        return None
    facts = calibrated.facts
    auc = Auc(facts["auc"], facts["low"], facts["high"])
    good = is_good(auc)
    faults = {one.name: one.verdict for one in quality if one.verdict != "good"} if mode != "keyboard" else {}
    keys = facts.get("keys")
    return {
        "person": facts["person"], "mode": facts["mode"], "presentations": facts["presentations"],
        "targets": facts["targets"], "seconds": facts["seconds"], "auc": auc.value, "low": auc.low, "high": auc.high,
        "enough": is_enough(auc, facts["seconds"]), "good": good, "accepted": good or accepted,
        "verdict": _verdict(auc, good), "advice": advice(facts, faults), "rejected": facts["rejected"],
        "erp": None if calibrated.erp is None else _erp(calibrated.erp),
        "keys": keys and {
            "mean": keys["mean"], "sd": keys["sd"], "hit_rate": keys["hit_rate"],
            "false_per_minute": 60 * keys["false_rate"], "presses": keys["presses"],
        },
    }  # fmt: skip


def _verdict(auc: Auc, good: bool) -> str:
    said = f"AUC {auc.value:.2f} [{auc.low:.2f}, {auc.high:.2f}] on responses held out of training"
    if good:
        return f"{said}: good enough to go on."
    if auc.low <= 0.5:
        return f"{said}: that may be chance."
    return f"{said}: too little to teach a classifier."


def _erp(mean: ERP) -> dict[str, Any]:
    """Give the mean responses at the channel where the classes differ most, in microvolts."""
    contrast = np.abs(mean.mean[1] - mean.mean[0]) / np.hypot(*mean.half_width)
    channel = int(np.nanargmax(np.nanmean(contrast, axis=1)))
    uv = {name: (1e6 * values[:, channel]).round(3) for name, values in vars(mean).items() if name in _CURVES}
    return {
        "times": mean.times.tolist(), "channel": mean.channels[channel], "other": uv["mean"][0].tolist(),
        "target": uv["mean"][1].tolist(), "other_half": uv["half_width"][0].tolist(),
        "target_half": uv["half_width"][1].tolist(), "n": list(mean.n),
    }  # fmt: skip


_CURVES = ("mean", "half_width")


class Results:
    """What is known of every image of a study, kept until something changes: a gallery asks page by page.

    Parameters
    ----------
    study : Study
        Whose.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._version: object = None
        self._images: list[ImageResult] = []

    def gallery(self, order: str, part: str, offset: int, limit: int) -> dict[str, Any]:
        """Give a page of the images of one part, in an order.

        Raises
        ------
        SettingsError
            If the order is unknown.
        """
        if order not in ORDERS:
            raise SettingsError(f"expected an order of {', '.join(ORDERS)}, got {order!r}")
        found = sorted((one for one in self._read() if one.part == part), key=ORDERS[order])
        return {"total": len(found), "items": [plain(one) for one in found[offset : offset + limit]]}

    def curves(self, calibration: Mapping[str, Any] | None) -> dict[str, Any]:
        """Give the curves and distributions of the study so far, and the mean responses of a calibration."""
        rounds, target = self._study.store.rounds(), self._study.settings.target
        pool = [one for one in self._read() if one.part == "pool"]
        seen = [one for one in pool if one.looks]
        classes = {"target": [one for one in seen if one.label == target]}
        classes["other"] = [one for one in seen if one.label != target]
        probability: FloatArray = np.array([one.classifier for one in pool if one.classifier is not None])
        return {
            "auc": [
                {"looks": one.looks, "minutes": (one.viewing_s + one.machine_s) / 60, "auc": one.auc,
                 "low": one.auc_low, "high": one.auc_high}
                for one in rounds
            ],
            "scores": {name: [one.evidence for one in members] for name, members in classes.items()}
            if any(one.label == target for one in pool) else None,
            "evidence": [one.evidence for one in seen],
            "confidence": expit(np.abs(find(self._study).asked)).tolist() if rounds else [],
            "unsure": [{"looks": one.looks, "share": one.unsure} for one in rounds],
            "erp": calibration and calibration["erp"],
            "estimated": {"auc": expected_auc(probability)} if len(probability) else None,
        }  # fmt: skip

    def _read(self) -> list[ImageResult]:
        store = self._study.store
        version = (len(store.rounds()), store.looks().image.size, tuple(store.corrections().items()))
        if self._version != version:
            self._images, self._version = image_results(self._study), version
        return self._images


def _by_probability(one: ImageResult) -> tuple[Any, ...]:
    return -1 if one.probability is None else -one.probability, one.path


def _by_doubt(one: ImageResult) -> tuple[Any, ...]:
    return 1 if one.probability is None else abs(one.probability - 0.5), one.path


ORDERS: dict[str, Callable[[ImageResult], tuple[Any, ...]]] = {
    "probability": _by_probability,
    "unsure": _by_doubt,
    "evidence": lambda one: (-one.evidence, one.path),
    "path": lambda one: (one.path,),
}
