"""What a study keeps of its observers, so that a report needs neither recordings nor observer."""

import json
from collections.abc import Mapping
from typing import Any

from brainloop._files import load_tensors, save_tensors
from brainloop.eeg.erp import ERP
from brainloop.study import Study, versions

__all__ = ["forget", "mean_responses", "observer_facts", "remember"]


def remember(study: Study, facts: dict[str, Any], erps: Mapping[str, ERP], station: str = "local") -> None:
    """Keep what a station's observer says of itself, and its mean responses, in place of what it said before."""
    study.store.note(_fact_of(station), facts)
    study.store.note("versions", versions())
    for number, (name, mean) in enumerate(erps.items()):
        tensors = {"mean": mean.mean, "half_width": mean.half_width, "times": mean.times}
        words = {"name": name, "n": json.dumps(mean.n), "channels": json.dumps(mean.channels)}
        save_tensors(study.models.path(f"erp-{number:03d}"), tensors, words)


def observer_facts(study: Study) -> dict[str, Any]:
    """Read what the observers of all stations said of themselves: that of the first, with the recordings of all."""
    each = [facts for name in _facts(study) if (facts := study.store.fact(name))]
    recordings = [about for facts in each for about in facts.get("recordings", [])]
    return {**each[0], "recordings": recordings} if each else {}


def mean_responses(study: Study) -> dict[str, ERP]:
    """Read the mean responses that were kept in this folder, by the name of their recording."""
    found = {}
    for path in sorted(study.models.folder.glob("erp-*.safetensors")):
        tensors, words = load_tensors(path)
        n, channels = json.loads(words["n"]), json.loads(words["channels"])
        found[words["name"]] = ERP(**tensors, n=tuple(n), channels=tuple(channels))
    return found


def forget(study: Study, person: str) -> int:
    """Take a person out of what was kept; give how many recordings and mean responses went."""
    theirs = f"{person}/"  # a live recording is called PERSON/SESSION
    gone = 0
    for path in sorted(study.models.folder.glob("erp-*.safetensors")):
        _, words = load_tensors(path)
        if words["name"].startswith(theirs) or words["name"] == person:
            path.unlink()
            gone += 1
    for name in _facts(study):
        facts = study.store.fact(name) or {}
        recordings = facts.get("recordings")
        if isinstance(recordings, list):
            kept = [
                about
                for about in recordings
                if not isinstance(about, dict)
                or (about.get("person") != person and not str(about.get("name", "")).startswith(theirs))
            ]
            if len(kept) < len(recordings):
                gone += len(recordings) - len(kept)
                study.store.note(name, facts | {"recordings": kept})
    return gone


def _facts(study: Study) -> list[str]:
    others = [one.name for one in study.store.stations()] if study.store.is_shared else []
    return list(dict.fromkeys(_fact_of(name) for name in ("local", *others)))


def _fact_of(station: str) -> str:
    """Name the fact that holds what is known of a station's observer."""
    return "observer" if station == "local" else f"observer of {station}"
