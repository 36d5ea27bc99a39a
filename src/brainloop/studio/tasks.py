"""What the studio does in other processes: embed, train, run the loop, write and erase."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainloop.eeg.erp import ERP
from brainloop.errors import StoppedError
from brainloop.presentation.block import Block, Response
from brainloop.studio.work import Talk

__all__ = ["calibrate", "embed", "erase", "export_study", "finish_recordings", "run"]

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


def run(talk: Talk, folder: Path, facts: dict[str, Any], erps: dict[str, ERP], soa: float) -> str:
    """Run a study's loop; whoever looks is at the other end of the pipe."""
    from brainloop.loop import run as loop
    from brainloop.study import Study

    study = Study.open(folder)
    data = study.data(talk.progress("embedding the images"))
    observer = _Distant(talk, data.ids.tolist(), facts, erps, soa)
    talk.send("ready")
    for done in loop(study, observer):
        talk.send("round", vars(done))
    rounds = study.store.rounds()
    if rounds and rounds[-1].converged:
        return "The classifier is sure."
    if rounds and rounds[-1].looks >= study.settings.max_looks:
        return f"{study.settings.max_looks} looks, as many as this study was to have."
    return "The classifier is sure of every image."


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


def export_study(talk: Talk, folder: Path, what: Sequence[str]) -> list[str]:
    """Write what was asked for into the study's `exports` folder; give the files' names."""
    from brainloop.exports import export_study as export
    from brainloop.report import write_report
    from brainloop.study import Study

    study, out = Study.open(folder), folder / "exports"
    out.mkdir(exist_ok=True)
    names = [path.name for path in export(study, out, [one for one in what if one != "report"])]
    if "report" in what:
        names.append(write_report(study, out / "report.html", progress=talk.progress("writing the report")).name)
    return names


def erase(talk: Talk, folder: Path, person: str) -> list[tuple[str, str]]:
    """Erase a person, and say what went."""
    from brainloop.people import erase_person
    from brainloop.study import Study

    gone = erase_person(Study.open(folder), person, progress=talk.progress("training again without"))
    return [(what, str(count)) for what, count in gone.went]
