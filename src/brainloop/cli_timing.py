"""The command `timing-check`; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import Annotated

import typer

from brainloop.errors import RecordingError
from brainloop.terminal import out

__all__ = ["add_commands"]

BIN = 1e-3
"""Width of a bar of the histogram, s."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(timing_check)


def timing_check(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    channel: Annotated[
        str | None, typer.Option(help="The light sensor; by default the only auxiliary channel.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Whose session; anybody's by default.")] = None,
    session: Annotated[str | None, typer.Option(help="Which one; the last with the patch on by default.")] = None,
) -> None:
    """Measure, by a light sensor on the screen's corner, how long after its frame an image appears, and store it."""
    from collections import Counter
    from datetime import UTC, datetime

    from brainloop.eeg.recorder import read_session
    from brainloop.presentation.photodiode import measure_display
    from brainloop.study import Study

    opened = Study.open(study)
    found = [path.parent for path in study.glob(f"people/{person or '*'}/{session or '*'}/meta.json")]
    for folder in sorted(found, key=lambda folder: folder.name, reverse=True):
        recording = read_session(folder)
        if any(event["event"] == "block" and event.get("patch") for event in recording.events):
            break
    else:
        raise RecordingError(
            f"expected a recording with the patch on in {study / 'people'}, found {len(found)} without: switch the "
            "patch on in the studio, tape the sensor over it, and record a block"
        )
    timing = measure_display(recording, channel)
    n = len(timing.delays)
    out.print(f"{folder.parent.name}/{folder.name}: {n} flashes, {timing.missed} frames without one")
    bars = Counter((timing.delays // BIN).astype(int).tolist())
    for place in range(min(bars), max(bars) + 1):
        out.print(f"{place * BIN * 1e3:6.0f} ms  {'#' * -(-40 * bars[place] // max(bars.values())):40s} {bars[place]}")
    out.print(f"Light comes {1e3 * timing.offset:.1f} ms after its frame, SD {1e3 * timing.sd:.1f} ms. Stored.")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    opened.store.note("display", {"offset": timing.offset, "sd": timing.sd, "n": n, "when": now})
