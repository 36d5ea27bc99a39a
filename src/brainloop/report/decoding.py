"""The report on decoded recordings: every number of it, and one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from brainloop import __version__
from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.decoder.curves import Point, calibration_curve, looks_curve
from brainloop.decoder.protocol import DecoderSettings, Decoding
from brainloop.eeg.erp import ERP, erp
from brainloop.eeg.layout import Layout
from brainloop.errors import DecoderError
from brainloop.report import decoding_figures, figures, response_figures
from brainloop.report.response_figures import Peak

__all__ = ["DecodingFindings", "find_decoding", "render_decoding", "verdict", "write_decoding_report"]

GOOD_AUC = 0.7
"""The poorest person with whom the loop was measured has .72 (`brainloop bench talk`)."""


@dataclass(frozen=True, eq=False)
class DecodingFindings:
    """What there is to say about a decoded recording.

    Attributes
    ----------
    decoding : Decoding
        Trials and scores.
    summary : dict
        See `Scored.summary`.
    mean : ERP
        Of all usable trials.
    peak : Peak or None
        The P300, where both classes have an interval.
    calibration : list of Point
        AUC over the number of calibration trials; empty where there are too few.
    too_few : str
        Why it is empty, or an empty string.
    looks : list of Point
        AUC over the number of looks.
    """

    decoding: Decoding
    summary: dict[str, Any]
    mean: ERP
    peak: Peak | None
    calibration: list[Point]
    too_few: str
    looks: list[Point]

    @property
    def n_placed(self) -> int:
        """Number of channels whose place on the head is known."""
        return int(np.isfinite(self.decoding.recording.positions).all(axis=1).sum())

    @property
    def name(self) -> str:
        """The recording's."""
        return self.decoding.recording.name

    def facts(self) -> dict[str, Any]:
        """Give every number, ready for JSON."""
        recording, scored = self.decoding.recording, self.decoding.scored
        p300 = self.peak and {
            "s": float(self.mean.times[self.peak.sample]),
            "channel": self.mean.channels[self.peak.channel],
            "target_less_nontarget_uV": 1e6 * self.peak.value,
        }
        return {
            "name": recording.name,
            "dataset": recording.dataset,
            "person": recording.person,
            "session": recording.session,
            "channels": list(recording.channels),
            "sfreq": recording.sfreq,
            "repairs": list(recording.repairs),
            "trained_on": self.decoding.trained_on,
            "presentations": len(self.decoding.trials.onsets),
            "rejected": self.decoding.rejections,
            **self.summary,
            "contributions": self.decoding.contributions,
            "fit_s": scored.fit_s,
            "score_ms": scored.score_ms,
            "p300": p300,
            "calibration_trials": [asdict(point) for point in self.calibration],
            "looks": [asdict(point) for point in self.looks],
        }


def find_decoding(
    decoding: Decoding, settings: DecoderSettings, *, progress: Progress = no_progress
) -> DecodingFindings:
    """Measure a decoded recording; trains up to five more decoders for the AUC over calibration trials.

    Parameters
    ----------
    decoding : Decoding
        As `brainloop.decoder.protocol` gives it.
    settings : DecoderSettings
        With which it was decoded.
    progress : Progress
        Called with (decoders trained, decoders).

    Raises
    ------
    DecoderError
        If the scored trials lack a class.
    """
    try:
        summary = decoding.scored.summary()
    except DecoderError as error:
        raise DecoderError(f"{decoding.recording.name}: {error}") from error
    trials, usable = decoding.trials, decoding.trials.usable
    X, y = trials.data[usable], trials.is_target[usable]
    mean = erp(X, y, trials.times, trials.channels)
    curve, too_few = [], ""
    try:
        curve = calibration_curve(
            X, y, trials.onsets[usable], trials.runs[usable], purge=settings.signal.duration, method=settings.method,
            random_state=settings.random_state, progress=progress,
            layout=Layout.of(trials.channels, decoding.recording.sfreq, settings.signal),
        )  # fmt: skip
    except DecoderError as error:
        too_few = str(error)
    return DecodingFindings(
        decoding=decoding,
        summary=summary,
        mean=mean,
        peak=response_figures.p300(mean),
        calibration=curve,
        too_few=too_few,
        looks=looks_curve(decoding.scored.evidence, decoding.scored.is_target),
    )


def verdict(summary: dict[str, Any]) -> str:
    """Say in a sentence whether a decoder is good enough to go on with, and if not, what to do.

    Parameters
    ----------
    summary : dict
        See `Scored.summary`.
    """
    low, high = summary["ci"]
    said = f"AUC {summary['auc']:.3f} [{low:.3f}, {high:.3f}] on {summary['n']:,} trials that were held out"
    if low <= 0.5:
        return (
            f"Not good enough to go on: {said} is no better than chance; see to the electrodes, to the names of the "
            "events and to their times, and record the calibration again."
        )
    if summary["auc"] < GOOD_AUC:
        return (
            f"Poor: {said}; every image will need several looks, so see to the electrodes that the report shows flat "
            "or noisy, or record a longer calibration, before you go on."
        )
    return f"Good enough to go on: {said}."


def write_decoding_report(
    findings: Sequence[DecodingFindings], settings: DecoderSettings, path: Path, *, title: str, note: str = ""
) -> Path:
    """Write the report on one or more decoded recordings.

    Parameters
    ----------
    findings : sequence of DecodingFindings
        One or more.
    settings : DecoderSettings
        With which they were decoded.
    path : Path
        The HTML file: written whole, or not at all.
    title : str
        The page's heading.
    note : str
        What is to be read first, if anything.

    Returns
    -------
    Path
        The same path.
    """
    page = render_decoding(findings, settings, title=title, note=note)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page.encode())
    return path


def render_decoding(
    findings: Sequence[DecodingFindings], settings: DecoderSettings, *, title: str, note: str = ""
) -> str:
    """Give the page; see `write_decoding_report`."""
    here = files("brainloop.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"auc": "{:.3f}".format, "count": "{:,}".format}
    return environment.from_string((here / "decoding.html.j2").read_text(encoding="utf-8")).render(
        findings=findings,
        figures=[_figures(found, settings.method, f"r{number}") for number, found in enumerate(findings)],
        drawn=response_figures.drawn_channels,
        smoothing=response_figures.smoothing,
        strongest=response_figures.strongest,
        fewest_mapped=response_figures.MIN_MAPPED,
        n_bins=decoding_figures.N_BINS,
        settings=settings,
        style=(here / "style.css").read_text(encoding="utf-8"),
        title=title,
        note=note,
        version=__version__,
    )


def _figures(found: DecodingFindings, method: str, prefix: str) -> dict[str, str]:
    """Draw a recording's figures, as SVG by name; what cannot be drawn is left out."""
    scored, mean, trials, peak = found.decoding.scored, found.mean, found.decoding.trials, found.peak
    channel = response_figures.strongest(mean)[0]
    epochs = trials.data[trials.usable][scored.trials, channel]
    peak_s = None if peak is None else float(mean.times[peak.sample])
    drawn: dict[str, tuple[Figure | None, str]] = {
        "erp": (response_figures.channels_figure(mean), "Mean response to targets and non-targets in each channel"),
        "trials": (
            response_figures.trials_figure(
                epochs, scored.is_target, scored.score, mean.times, mean.channels[channel], peak_s
            ),
            f"Single trials at {mean.channels[channel]} as an image, sorted by score",
        ),
        "matrix": (
            response_figures.matrix_figure(mean),
            "Mean spatio-temporal matrix, channels by time, target less non-target",
        ),
        "scores": (
            figures.score_figure(scored.evidence, scored.is_target),
            "Histogram of the evidence of single trials by class",
        ),
        "roc": (
            decoding_figures.roc_figure(scored.is_target, scored.score, scored.members, method),
            f"ROC curve, area {found.summary['auc']:.3f}",
        ),
        "reliability": (
            decoding_figures.reliability_figure(scored.probability, scored.is_target),
            "Reliability diagram: share of targets over the probability that the decoder gave",
        ),
    }
    if peak is not None:
        drawn["maps"] = (
            response_figures.map_figure(mean, found.decoding.recording.positions, peak),
            "Difference of the classes over the head at the P300's peak and at other moments",
        )
    if len(found.decoding.contributions) > 1:
        drawn["contributions"] = (
            decoding_figures.contribution_figure(found.decoding.contributions, found.summary["auc"], method),
            "AUC of each member alone, and of all without it",
        )
    for name, points, what in (
        ("calibration", found.calibration, "calibration trials"),
        ("looks", found.looks, "looks"),
    ):
        if points:
            draw = getattr(decoding_figures, f"{name}_figure")
            said = "; ".join(f"{point.auc:.3f} at {point.x}" for point in points)
            drawn[name] = (draw(points), f"AUC over {what}: {said}")
    return {
        name: figures.svg(figure, f"{prefix}-{name}", words)
        for name, (figure, words) in drawn.items()
        if figure is not None
    }
