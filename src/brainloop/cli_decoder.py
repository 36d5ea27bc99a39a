"""The decoder's commands, `decode` and `calibrate`; thin, as those of `brainloop.cli`."""

from collections.abc import Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from brainloop.errors import SettingsError
from brainloop.terminal import bar, err, out

if TYPE_CHECKING:
    from brainloop.decoder.protocol import DecoderSettings, Decoding
    from brainloop.eeg.recordings import Recording
    from brainloop.report.decoding import DecodingFindings

__all__ = ["add_commands"]

Recordings = Annotated[
    list[Path], typer.Argument(metavar="RECORDING...", help="Files (FIF, BrainVision, EDF, BDF, XDF) or folders.")
]
TargetEvent = Annotated[str, typer.Option(help="The recordings' event at a target.")]
NontargetEvent = Annotated[str, typer.Option(help="The recordings' event at a non-target.")]
Channels = Annotated[str | None, typer.Option(help="EEG channels to use, A,B,C; all by default.")]
Montage = Annotated[str | None, typer.Option(help="MNE's name of a standard montage; the file's own by default.")]
Reference = Annotated[
    str | None, typer.Option(help="average, or channels A,B to subtract the mean of; as recorded by default.")
]
BadChannels = Annotated[Literal["repair", "keep"], typer.Option(help="Flat, noisy and bridged channels.")]
Blinks = Annotated[Literal["auto", "off"], typer.Option(help="Regress eye movements out where channels allow it.")]
Stream = Annotated[str | None, typer.Option(help="Name of the EEG stream of an XDF file that has several.")]
Unit = Annotated[str | None, typer.Option(help="Unit of the EEG of an XDF file, in place of what it says.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(decode)
    app.command()(calibrate)


def decode(
    recordings: Recordings,
    by: Annotated[
        Literal["blocks", "time", "session", "person"] | None,
        typer.Option(
            help="What is held out: each of five blocks in time (the default), the last 60 %, each session of a "
            "person, each person."
        ),
    ] = None,
    train_on: Annotated[
        list[Path] | None, typer.Option(metavar="RECORDING", help="Train on these instead; may repeat.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="ensemble, or lda, xdawn_lda, xdawn_ts, eegnet, inception alone.")
    ] = "ensemble",
    target_event: TargetEvent = "target",
    nontarget_event: NontargetEvent = "nontarget",
    channels: Channels = None,
    montage: Montage = None,
    reference: Reference = None,
    bad_channels: BadChannels = "repair",
    blinks: Blinks = "auto",
    stream: Stream = None,
    unit: Unit = None,
    seed: Annotated[int, typer.Option(help="One seed, one result.")] = 0,
    path: Annotated[
        Path, typer.Option("--out", help="The report: an HTML file, or a folder for decoding.html.")
    ] = Path("decoding.html"),
    json: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")] = None,
) -> None:
    """Tell targets from non-targets in recordings, trial by trial, and report how well that goes."""
    if by is not None and train_on:
        raise SettingsError("expected --by or --train-on, got both: what trains is given by one of them")
    reading = _reading(
        target=target_event, nontarget=nontarget_event, channels=channels, montage=montage, reference=reference,
        bad_channels=bad_channels, blinks=blinks, stream=stream, unit=unit,
    )  # fmt: skip
    tested, trained = _read(recordings, reading), _read(train_on, reading) if train_on else []

    from brainloop.decoder.protocol import DecoderSettings, decode_recordings

    settings = DecoderSettings(method, random_state=seed)
    with bar("decoding") as progress:
        decoded = decode_recordings(tested, settings, by=by or "blocks", train_on=trained, progress=progress)
    findings = _find(decoded, settings)
    for line in _table(findings):
        out.print(line)
    if json is not None:
        held_out = {"by": None if trained else by or "blocks", "train_on": [recording.name for recording in trained]}
        _write_json(json, findings, {"method": method, "seed": seed, **held_out, **reading})
    title = findings[0].name if len(findings) == 1 else f"{len(findings)} recordings, decoded"
    _report(findings, settings, path / "decoding.html" if path.is_dir() else path, title)


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    recordings: Recordings,
    channels: Channels = None,
    montage: Montage = None,
    reference: Reference = None,
    bad_channels: BadChannels = "repair",
    blinks: Blinks = "auto",
    stream: Stream = None,
    unit: Unit = None,
) -> None:
    """Train a person's decoder for a study, by the study's settings, and say whether it is good enough."""
    from brainloop.study import Study

    chosen = Study.open(folder).settings
    reading = _reading(
        target=chosen.target_event, nontarget=chosen.nontarget_event, channels=channels, montage=montage,
        reference=reference, bad_channels=bad_channels, blinks=blinks, stream=stream, unit=unit,
    )  # fmt: skip
    sessions = _read(recordings, reading)

    from brainloop.decoder.files import save_decoder
    from brainloop.decoder.protocol import DecoderSettings
    from brainloop.decoder.protocol import calibrate as train
    from brainloop.report.decoding import verdict

    settings = DecoderSettings(chosen.decoder, chosen.calibration, chosen.seed)
    with bar("training") as progress:
        decoder, decoding = train(sessions, settings, progress=progress)
    path = folder / "models" / "decoder.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_decoder(decoder, path)
    findings = _find([decoding], settings)
    for line in _table(findings):
        out.print(line)
    said = verdict(findings[0].summary)
    _report(findings, settings, folder / "reports" / "calibration.html", "Calibration", said)
    out.print(f"Decoder: {path}")
    out.print(said)


def _reading(channels: str | None, reference: str | None, **others: Any) -> dict[str, Any]:
    """Give the arguments of `read_recordings`."""
    wanted = None if channels is None else _names(channels)
    referees = None if reference is None else "average" if reference == "average" else _names(reference)
    return {"channels": wanted, "reference": referees, **others}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read(paths: Sequence[Path], reading: dict[str, Any]) -> "list[Recording]":
    from brainloop.eeg.recordings import read_recordings

    recordings = read_recordings(paths, **reading)
    for recording in recordings:
        for said in recording.repairs:
            err.print(f"{recording.name}: {said}")
    return recordings


def _find(decoded: "Sequence[Decoding]", settings: "DecoderSettings") -> "list[DecodingFindings]":
    from brainloop.decoder.protocol import part
    from brainloop.report.decoding import find_decoding

    with bar("measuring") as progress:
        return [
            find_decoding(decoding, settings, progress=part(progress, number, len(decoded)))
            for number, decoding in enumerate(decoded)
        ]


def _table(findings: "Sequence[DecodingFindings]") -> Iterator[str]:
    width = max(len("recording"), *(len(found.name) for found in findings))
    yield f"{'recording':{width}}  trials  targets  AUC [95 %]             bal. acc.    ECE  rejected"
    for found in findings:
        s = found.summary
        rejected = ", ".join(f"{n} {reason}" for reason, n in found.decoding.rejections.items()) or "none"
        auc = f"{s['auc']:.3f} [{s['ci'][0]:.3f}, {s['ci'][1]:.3f}]"
        yield (
            f"{found.name:{width}}  {s['n']:6d}  {s['n_targets']:7d}  {auc:21s}  {s['balanced_accuracy']:9.3f}  "
            f"{s['ece']:.3f}  {rejected}"
        )


def _write_json(path: Path, findings: "Sequence[DecodingFindings]", settings: dict[str, Any]) -> None:
    from brainloop.bench.machine import machine

    figures = {"settings": settings, "recordings": [found.facts() for found in findings], "machine": machine()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(figures, indent=2) + "\n", encoding="utf-8")


def _report(
    findings: "Sequence[DecodingFindings]", settings: "DecoderSettings", path: Path, title: str, note: str = ""
) -> None:
    from brainloop.report.decoding import write_decoding_report

    out.print(f"Report: {write_decoding_report(findings, settings, path, title=title, note=note)}")
