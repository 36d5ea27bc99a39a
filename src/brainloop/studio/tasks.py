"""What the studio does in other processes: embed, train, run the loop, write and erase."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from brainloop.eeg.erp import ERP
from brainloop.errors import StoppedError
from brainloop.presentation.block import Block, Response
from brainloop.studio.work import Talk

__all__ = ["calibrate", "embed", "erase", "export_study", "finish_recordings", "fuse", "list_people", "run"]

SETTLED = {
    "train": "The classifier is sure.",
    "audit": "Every annotation that was doubted is settled. See the results.",
    "review": "Every image is sorted. See the results.",
}
"""What is said once nothing is left to look at, by use."""

WAITS_S = 86_400.0
"""How long a store that is away is waited for with answers at hand, s; whoever sits there sees it, and may leave."""

RAW = "people/*/*/meta.json"
"""Raw sessions of a study: its people's, by name and time."""


def embed(talk: Talk, folder: Path) -> None:
    """Embed what is not embedded yet."""
    from brainloop.study import Study

    Study.open(folder).data(talk.progress("embedding the images"))


def calibrate(talk: Talk, folder: Path, raw: Path, mode: str, keep: Path | None) -> dict[str, Any]:
    """Learn from a raw session what a person's answers look like; keep it in a folder, or only say how good it is."""
    from brainloop.calibration import learn_calibration, save_calibrated
    from brainloop.decoder.protocol import DecoderSettings
    from brainloop.eeg.recorder import read_session
    from brainloop.study import Study

    chosen = Study.open(folder).settings
    settings = DecoderSettings(chosen.decoder, chosen.calibration, chosen.seed)
    progress = talk.progress("training the decoder")
    calibrated = learn_calibration(read_session(raw), mode, settings, progress=progress)
    if keep is not None:
        save_calibrated(calibrated, keep)
    return calibrated.facts


def run(talk: Talk, folder: Path, facts: dict[str, Any], erps: dict[str, ERP], soa: float, station: str) -> str:
    """Run a study's loop at a station; whoever looks is at the other end of the pipe."""
    from brainloop.loop import run as loop
    from brainloop.study import Study

    study = Study.open(folder)
    study.store.patience_s = WAITS_S
    data = study.data(talk.progress("embedding the images"))
    observer = _Distant(talk, data.ids.tolist(), facts, erps, soa)
    talk.send("ready")
    for done in loop(study, observer, station=station):
        talk.send("round", vars(done))
    rounds, settings = study.store.rounds(), study.settings
    if rounds and rounds[-1].looks >= settings.max_looks and not rounds[-1].converged:
        return f"{settings.max_looks} looks, as many as this study was to have."
    return SETTLED[settings.use]


class _Distant:
    """An observer whose eyes are in another process."""

    def __init__(self, talk: Talk, ids: Sequence[int], facts: dict[str, Any], erps: dict[str, ERP], soa: float) -> None:
        self.soa = soa
        self.facts = facts
        self._talk, self._ids, self._erps = talk, ids, erps

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        self._talk.send("show", replace(block, images=tuple(self._ids[row] for row in block.images)), start)
        for _ in range(start, len(block.images)):
            kind, *values = self._talk.receive()
            if kind == "stopped":
                raise StoppedError(values[0])
            response: Response = values[0]
            yield response

    def recall(self, blocks: Sequence[Block]) -> None:
        pass

    def erps(self) -> dict[str, ERP]:
        return self._erps


def finish_recordings(talk: Talk, folder: Path) -> None:
    """Write every raw session that the BIDS data set does not hold in full, such as one that a kill has left."""
    from brainloop.eeg.bids import export_bids, is_exported

    root = folder / "recordings"
    raw = {path.parent: {"person": path.parts[-3], "session": path.parts[-2]} for path in folder.glob(RAW)}
    left = [session for session, named in sorted(raw.items()) if not is_exported(session, root, **named)]
    progress = talk.progress("writing the recording as BIDS")
    for number, session in enumerate(left):
        progress(number, len(left))
        export_bids(session, root, **raw[session])


def export_study(talk: Talk, folder: Path, what: Sequence[str], force: bool) -> None:
    """Write what was asked for into the study's `exports` folder, in place of what is there only if told `force`."""
    from brainloop.studio.exporting import export
    from brainloop.study import Study

    export(Study.open(folder), list(what), talk.progress("writing the export"), force=force)


def fuse(_talk: Talk, folder: Path) -> list[dict[str, Any]]:
    """Say of each image that was looked at what the classifier and the brain say, and how well each of them tells.

    Those of unknown truth are left out; and so is a target of which no truth is known.
    """
    from brainloop.study import Study
    from brainloop.uses.fusion import fuse

    found = []
    for one in fuse(Study.open(folder)):
        if one.auc is not None:
            said = {"log_odds": one.log_odds, "evidence": one.evidence, "is_target": one.truth}
            found.append(
                {"target": one.target}
                | {name: auc.value for name, auc in one.auc.items()}
                | {name: values[one.known].tolist() for name, values in said.items()}
            )
    return found


def list_people(_talk: Talk, folder: Path) -> list[dict[str, Any]]:
    """List who looked at a study, and what each came to."""
    from brainloop.report.people import people_findings
    from brainloop.study import Study

    found = people_findings(Study.open(folder))
    return [asdict(one) | {"warning": one.warning, "stations": list(one.stations)} for one in found]


def erase(talk: Talk, folder: Path, person: str) -> list[tuple[str, str]]:
    """Erase a person, and say what went."""
    from brainloop.people import erase_person
    from brainloop.study import Study

    gone = erase_person(Study.open(folder), person, progress=talk.progress("training again without"))
    return [(what, str(count)) for what, count in gone.went]
