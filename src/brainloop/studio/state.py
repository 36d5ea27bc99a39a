"""The state of a session as the page gets it."""

from typing import TYPE_CHECKING, Any

from brainloop import __version__
from brainloop.consent import CONSENT, EPILEPSY

if TYPE_CHECKING:
    from brainloop.studio.opened import Opened
    from brainloop.studio.session import Session

__all__ = ["state_of"]


def state_of(session: "Session") -> dict[str, Any]:
    """Give all that the page shows, ready for JSON."""
    stage, opened, activity = session.stage, session.opened, session.activity
    screen = stage.screen
    return {
        "n": activity.version,
        "version": __version__,
        "home": str(session.home),
        "consent_text": {"consent": CONSENT, "epilepsy": EPILEPSY},
        "study": None if opened is None else _study(opened),
        "studies": session.studies,
        "person": None if session.person is None else {"name": session.person, "consented": True},
        "people": [] if opened is None else opened.known.people,
        "mode": session.mode,
        "patch": screen.patch,
        "external": stage.is_external,
        "headset": stage.monitor.state() if stage.monitor else None,
        "activity": activity.name,
        "progress": activity.progress,
        "calibration": session.calibration,
        "watch": _watch(session),
        "screen": {
            "connected": screen.connected,
            "refresh_hz": screen.refresh_hz,
            "clock_error_ms": screen.clock and 500 * screen.clock.rtt,
        },
        "station": None if opened is None or opened.stations is None else opened.stations.state(),
        "drive": session.driving.state(),
        "notice": activity.notice,
    }


def _study(opened: "Opened") -> dict[str, Any]:
    known, s = opened.known, opened.study.settings
    target = known.calibrates
    return {
        "folder": str(opened.study.folder), "name": opened.study.folder.name, "use": s.use, "observer": s.observer,
        "names": list(s.names), "targets": list(known.targets), "images": s.images, "annotations": s.annotations,
        "model": s.model, "embedded": opened.embedded, "has_truth": known.has_truth, "counts": known.counts,
        "soa": opened.soa, "block_size": s.block_size, "pause": s.pause, "looks_per_round": s.looks_per_round,
        "max_looks": s.max_looks, "looks": known.looks, "rounds": known.rounds,
        "corrections": len(known.corrections), "display": known.display,
        "calibrates": {"target": target, "targets": len(known.examples(target)[0])},
        "examples": {
            target: {
                name: [image for image, said in known.corrections.items() if said == (target, is_target)]
                for name, is_target in (("targets", True), ("others", False))
            }
            for target in known.targets
        },
    }  # fmt: skip


def _watch(session: "Session") -> dict[str, Any] | None:
    watched, opened = session.watched, session.opened
    if watched is None or opened is None:
        return None
    return {
        "round": watched.round, "block": watched.block, "looks": watched.looks,
        "target": watched.target, "max_looks": opened.study.settings.max_looks,
        "images_per_hour": watched.images_per_hour, "sure": watched.sure,
        "late_share": watched.late / max(1, watched.answered),
        "rejected_share": watched.rejected / max(1, watched.answered),
        "started": session.activity.name == "watching", "minutes": watched.minutes,
    }  # fmt: skip
