"""The headset's commands; thin, as those of `brainloop.cli`."""

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from brainloop.errors import RecordingError, SettingsError
from brainloop.terminal import bar, out

if TYPE_CHECKING:
    from brainloop.eeg.headset_check import Check

__all__ = ["headset"]

headset = typer.Typer(no_args_is_help=True, help="Headsets: find them, check them, or simulate one with its wearer.")


@headset.callback()
def _before() -> None:
    from brainloop.eeg.lsl import quiet_liblsl

    quiet_liblsl()


FAR = 10.0
"""A timestamp this far from its arrival is of another clock, s."""

NONE_FOUND = """No headset publishes EEG by LSL on this network.
Switch it on and start its LSL app (or LabRecorder's list shows it); brainloop headset simulate makes one up.
On another computer: both must be in one subnet that lets multicast through (UDP port 16571; TCP and UDP 16572 to
16604), or name that computer under KnownPeers in lsl_api.cfg. BrainFlow boards are not listed: give
brainflow:synthetic or brainflow:cyton:/dev/ttyUSB0 to `brainloop headset check`."""


@headset.command("list")
def list_headsets(
    wait: Annotated[float, typer.Option(help="How long to listen, s.")] = 1.5,
) -> None:
    """List the headsets that publish on this network by LSL."""
    from brainloop.eeg.headset import find_headsets

    found = find_headsets(wait)
    if not found:
        out.print(NONE_FOUND)
        return
    width = max(len(info.id) for info in found)
    out.print(f"{'headset':{width}}  rate      channels")
    for info in found:
        aux = f"; also {', '.join(info.aux)}" if info.aux else ""
        out.print(f"{info.id:{width}}  {info.sfreq:g} Hz".ljust(width + 12) + f"{', '.join(info.channels)}{aux}")


@headset.command()
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="[HEADSET]", help="As listed; the only one there is by default.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to watch it, s.")] = 10.0,
) -> None:
    """Watch a headset: its rate, jitter, gaps, mains, and what each channel is good for."""
    from brainloop.eeg.headset import find_headsets, open_headset
    from brainloop.eeg.headset_check import check_headset

    if name is None:
        found = [info.id for info in find_headsets(1.5)]
        if len(found) != 1:
            raise RecordingError(f"expected one headset, found: {', '.join(found)}; name one" if found else NONE_FOUND)
        (name,) = found
    device = open_headset(name)
    try:
        with bar("watching") as progress:
            found_out = check_headset(device, seconds, progress)
    finally:
        device.close()
    for line in _told(found_out):
        out.print(line)


@headset.command()
def simulate(
    target: Annotated[str, typer.Option(help="What the wearer looks for: the name of a class folder.")],
    seed: Annotated[int, typer.Option(help="Who it is.")] = 0,
    channels: Annotated[int, typer.Option(help="Electrodes, 1 to 64.")] = 8,
    rate: Annotated[float, typer.Option(help="Sampling rate, Hz.")] = 250.0,
    name: Annotated[str, typer.Option(help="Of the LSL stream.")] = "brainloop wearer",
    source_id: Annotated[str | None, typer.Option(help="Of the LSL stream; brainloop-wearer-SEED by default.")] = None,
    p300: Annotated[float, typer.Option(help="Amplitude of the response to a target, uV.")] = 16.0,
    misses: Annotated[float, typer.Option(help="Share of targets that are not noticed.")] = 0.1,
    response: Annotated[bool, typer.Option("--response/--no-response", help="Whether targets evoke anything.")] = True,
    markers: Annotated[str, typer.Option(help="Name or source id of the marker stream.")] = "brainloop-markers",
    seconds: Annotated[float | None, typer.Option(help="Stop after this time, s; on Ctrl-C by default.")] = None,
) -> None:
    """Publish a synthetic wearer as a real LSL stream, who reacts to what is shown."""
    import signal
    import time
    from pathlib import PurePosixPath
    from threading import Event

    from brainloop.eeg.scalp import CAP
    from brainloop.eeg.synthetic import UV, SyntheticWearer
    from brainloop.eeg.wearer_stream import WearerStream

    if not 1 <= channels <= len(CAP):
        raise SettingsError(f"--channels: expected 1 to {len(CAP)}, got {channels}")
    wearer = SyntheticWearer(seed, sfreq=rate, p300=p300 * UV * response, channels=CAP[:channels], misses=misses)
    stream = WearerStream(
        wearer, lambda path: target in PurePosixPath(path).parts[:-1][:1],
        name=name, source_id=source_id or f"brainloop-wearer-{seed}", markers=markers,
    )  # fmt: skip
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with stream:
        out.print(f"Publishing {name!r} (lsl:{stream.source_id}), {channels} channels at {rate:g} Hz. Ctrl-C ends it.")
        deadline = float("inf") if seconds is None else time.monotonic() + seconds
        while not ended.wait(0.2) and time.monotonic() < deadline:
            stream.check()
    seen = stream.counts
    out.print(
        f"Sent {seen.samples} samples. Saw {seen.presentations} images, {seen.targets} of them targets, "
        f"{seen.noticed} of these noticed; {seen.late} markers came too late, {seen.unreadable} could not be read."
    )


def _told(check: "Check") -> Iterator[str]:
    """Say what a check found, a line each."""
    info, mains = check.info, check.mains
    yield f"{info.name} ({info.id}): {len(info.channels)} EEG channels at {info.sfreq:g} Hz"
    yield f"rate     {check.rate:.2f} Hz, {check.samples} samples"
    if abs(check.delay) > FAR:
        yield f"clock    {check.delay:.0f} s off this computer's: no epoch can be cut; its app must use LSL's time"
    else:
        yield f"delay    {1e3 * check.delay:.0f} ms from sample to here, jitter {1e3 * check.jitter:.1f} ms"
    yield f"gaps     {check.gaps}" + (f", {check.lost_s:.2f} s lost" if check.gaps else "")
    if mains is None:
        yield "mains    none that stand out"
    else:
        yield f"mains    {mains.hz:g} Hz, {median(mains.uv):.1f} uV in the median channel"
    if not check.channels:
        yield "channels too little came without a gap to judge them: watch it for longer"
        return
    good = sum(one.verdict == "good" for one in check.channels)
    yield f"channels {good} of {len(check.channels)} good"
    width = max(len(one.name) for one in check.channels)
    hum = mains.uv if mains else [0.0] * len(check.channels)
    yield f"  {'':{width}}          0.5-15 Hz" + ("    mains" if mains else "")
    for one, uv in zip(check.channels, hum, strict=True):
        amplitude = f" {uv:6.1f} uV" if mains else ""
        yield f"  {one.name:{width}}  {one.verdict:6}  {one.uv:7.1f} uV{amplitude}  {one.why}".rstrip()
