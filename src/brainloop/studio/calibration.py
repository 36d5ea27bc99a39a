"""What the page shows of a person's calibration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brainloop.calibration import advice, is_enough, is_good, load_calibrated
from brainloop.classifier.measure import Auc
from brainloop.eeg.erp import ERP

if TYPE_CHECKING:
    from brainloop.eeg.headset_check import ChannelQuality

__all__ = ["calibration_state"]


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
