"""The state of a session as the page gets it."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainloop import __version__
from brainloop.consent import CONSENT, EPILEPSY

if TYPE_CHECKING:
    from brainloop.studio.session import Session

__all__ = ["state_of", "studies_in"]

MOST_STUDIES = 100


def state_of(session: "Session") -> dict[str, Any]:
    """Give all that the page shows, ready for JSON."""
    screen = session.screen
    return {
        "version": __version__,
        "home": str(session.home),
        "consent_text": {"consent": CONSENT, "epilepsy": EPILEPSY},
        "study": _study(session),
        "studies": session.studies,
        "person": None if session.person is None else {"name": session.person, "consented": True},
        "people": session.known.people if session.known else [],
        "mode": session.mode,
        "patch": screen.patch,
        "external": session.is_external,
        "headset": session.monitor.state() if session.monitor else None,
        "activity": session.activity,
        "progress": session.progress,
        "calibration": session.calibration,
        "watch": _watch(session),
        "screen": {
            "connected": screen.connected,
            "refresh_hz": screen.refresh_hz,
            "clock_error_ms": screen.clock and 500 * screen.clock.rtt,
        },
        "notice": session.notice,
    }


def _study(session: "Session") -> dict[str, Any] | None:
    study, known = session.study, session.known
    if study is None or known is None:
        return None
    s = study.settings
    return {
        "folder": str(study.folder), "name": study.folder.name, "target": s.target, "images": s.images,
        "has_truth": known.has_truth, "counts": known.counts, "soa": session.soa, "block_size": s.block_size,
        "pause": s.pause, "looks_per_round": s.looks_per_round, "max_looks": s.max_looks, "looks": known.looks,
        "rounds": known.rounds, "corrections": len(known.corrections), "display": known.display,
        "examples": {
            name: [image for image, said in known.corrections.items() if said is is_target]
            for name, is_target in (("targets", True), ("others", False))
        },
    }  # fmt: skip


def _watch(session: "Session") -> dict[str, Any] | None:
    watched, study = session.watched, session.study
    if watched is None or study is None:
        return None
    return {
        "round": watched.round, "block": watched.block, "blocks": watched.block, "looks": watched.looks,
        "max_looks": study.settings.max_looks, "images_per_hour": watched.images_per_hour, "sure": watched.sure,
        "late_share": watched.late / max(1, watched.answered),
        "rejected_share": watched.rejected / max(1, watched.answered), "started": session.activity == "watching",
        "minutes": watched.minutes,
    }  # fmt: skip


def studies_in(home: Path) -> list[dict[str, Any]]:
    """List the studies of a folder, by name."""
    found = sorted(home.glob("*/study.toml"))[:MOST_STUDIES]
    return [{"folder": str(path.parent), "name": path.parent.name, "target": _target(path)} for path in found]


def _target(path: Path) -> str | None:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("target"))
    except (OSError, ValueError):
        return None
