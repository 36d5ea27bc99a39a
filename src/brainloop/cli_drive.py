"""The drive's commands; thin, as those of `brainloop.cli`."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from brainloop.errors import SettingsError
from brainloop.terminal import bar, err, out

if TYPE_CHECKING:
    from brainloop.driving.drive import Drive, Instant
    from brainloop.driving.watcher import Watcher

__all__ = ["drive"]

drive = typer.Typer()

PERSON = "a synthetic person"
"""Who watches where nobody sits at a screen."""

RECORDED = "a recorded person"

REPLAYED = (
    "The responses are real ones, but to images that flashed, and drawn at random by whether there is a hazard; the "
    "road is a toy, and this says nothing of how a car should be driven."
)

SYNTHETIC = (
    "The person is synthetic and the road a toy: this shows that the parts work together, and nothing of how well a "
    "person's EEG would do or how a car should be driven."
)

TOY = "The road is a toy: this says nothing of how a car should be driven."

STRONG = 6.0
"""Nats of evidence that fill the hazard's gauge."""

Driver = Annotated[str, typer.Option(help="careless, careful, or the file of a trained driver.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the road; one seed, one result.")]
Film = Annotated[Path | None, typer.Option(metavar="OUT.gif", help="Film it: the road, the evidence, the alarms.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file that is there.")]


@drive.callback(invoke_without_command=True)
def road(
    context: typer.Context,
    demo: Annotated[
        bool, typer.Option("--demo", help="The first minute: a careless driver, and a synthetic person who watches.")
    ] = False,
    driver: Driver = "careless",
    watcher: Annotated[
        Literal["synthetic", "key", "headset"],
        typer.Option(help="A synthetic person, or you on the page: with the space bar, or with a headset."),
    ] = "synthetic",
    recordings: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Real recordings whose responses watch, without a screen; again for more."),
    ] = None,
    seed: Seed = 0,
    seconds: Annotated[float, typer.Option(min=1.0, max=600.0, help="How long, s.")] = 60.0,
    record: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Record it into a new folder; without a screen.")
    ] = None,
    film: Film = None,
    force: Force = False,
    headless: Annotated[
        bool | None,
        typer.Option("--headless/--page", help="In the terminal, as fast as it goes, or on a page of the browser; "
                     "that where there is a screen."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address that the page listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port that it listens on; 0 for any that is free.")] = 0,
) -> None:  # fmt: skip
    """Drive along a road while somebody watches it, whose brain, or key, tells of hazards."""
    if (command := context.invoked_subcommand) is not None:
        for name in context.params:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise SettingsError(f"--{name} before `{command}` is for a drive; options of `{command}` come after it")
        return
    if demo:
        driver, watcher, recordings = "careless", "synthetic", None
    if headless is None:
        headless = bool(record or film or recordings) or not _has_screen()
    if not headless:
        if record or film or recordings:
            raise SettingsError(
                "--record, --film and --recordings are for a drive without a page; on the page, tick 'record'"
            )
        _open_page(driver, watcher, seed, seconds, host, port)
        return
    if watcher != "synthetic":
        raise SettingsError(f"--watcher {watcher} is a person, who needs to see the road: give --page as well")
    _drive_here(driver, recordings or [], seed, seconds, record, film and _new_file(film, force))


@drive.command()
def train(
    reward: Annotated[
        Literal["plain", "brain", "random", "model", "oracle", "ttc"],
        typer.Option(
            help="What it learns from, beside progress and collisions: nothing more, a watcher's evidence, that of one "
            "who watches another road, a reward model's, the truth, the time to collision."
        ),
    ],
    path: Annotated[Path, typer.Option("--out", metavar="AGENT.safetensors", help="Where the driver goes.")],
    study: Annotated[
        Path | None,
        typer.Option(
            help="Of --reward model: a study that looked for hazards among frames; a simulated one by default."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="How long it trains, decisions of .4 s.")] = 140_000,
    weight: Annotated[float | None, typer.Option(help="Of that term; the bench's by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="One seed, one driver.")] = 0,
    force: Force = False,
) -> None:
    """Train a driver by reinforcement learning, and see how it drives on roads that it has not seen."""
    from brainloop.driving.training import evaluate, train

    _new_file(path, force)
    with bar("training") as progress:
        agent = train(reward, seed=seed, steps=steps, weight=weight, study=study, progress=progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    agent.save(path)
    found = evaluate(agent)
    out.print(
        f"{path}: on {found.roads} roads that it had not seen, {found.collisions:.1%} end in a collision, "
        f"at {found.progress:.0%} of the limit"
    )
    out.print(f"Next: brainloop drive --driver {path}")


@drive.command()
def film(
    path: Annotated[Path, typer.Argument(metavar="OUT.gif", help="The film; .mp4 where imageio-ffmpeg is.")],
    drivers: Annotated[list[str], typer.Argument(metavar="DRIVER...", help="As --driver; one column each.")],
    seed: Seed = 0,
    seconds: Annotated[float, typer.Option(min=1.0, max=120.0, help="How long, s.")] = 20.0,
    force: Force = False,
) -> None:
    """Film drivers side by side on the same road, each watched by a synthetic person."""
    from brainloop.driving.agent import load_driver
    from brainloop.driving.drive import Drive, summary
    from brainloop.driving.eeg_watcher import synthetic_watcher
    from brainloop.driving.film import film as make_film

    _new_file(path, force)
    loaded = {name: load_driver(name) for name in drivers}
    person = synthetic_watcher(seed)
    columns = []
    with bar("driving") as progress:
        for number, (name, one) in enumerate(loaded.items(), start=1):
            columns.append((Path(name).stem, list(Drive(seed, one, person, seconds=seconds))))
            progress(number, len(loaded))
    with bar("film") as progress:
        make_film(columns, path, progress=progress)
    for name, instants in columns:
        found = summary(instants)
        out.print(f"{name}: {found.collisions} collisions, {found.progress:.0%} of the limit")
    out.print(f"Film: {path}")


@drive.command()
def replay(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="As `drive --record` wrote it.")],
    film: Film = None,
    force: Force = False,
) -> None:
    """Tell again what happened in a recorded drive, and film it."""
    from brainloop.driving.recorded import read_drive

    path = film and _new_file(film, force)
    recorded = read_drive(folder)
    facts = recorded.facts
    out.print(f"{facts.driver} drives along road {facts.seed}; {facts.watcher} watches.")
    _tell(facts.driver, facts.watcher, recorded.instants, path)


@drive.command()
def frames(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New; it gets hazard/ and clear/.")],
    count: Annotated[int, typer.Option(min=20, help="Pictures; 15 % of them show a hazard.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of roads and choice.")] = 0,
) -> None:
    """Draw what drivers see, in class folders: the pool of a study that looks for hazards."""
    from brainloop.driving.frames import write_frames

    with bar("frames") as progress:
        hazards = write_frames(folder, count, seed, progress=progress)
    out.print(f"{folder}: {hazards} pictures with a hazard, {count - hazards} without")
    out.print(f"Next: brainloop new hazards {folder} --target hazard")


def _has_screen() -> bool:
    """Say whether a browser could be opened."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _new_file(path: Path, force: bool) -> Path:
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already; name another file, or give --force to replace it")
    return path


def _open_page(driver: str, watcher: str, seed: int, seconds: float, host: str, port: int) -> None:
    """Serve the studio's page of the drive from the current folder, until Ctrl-C."""
    from urllib.parse import urlencode

    from brainloop.driving.agent import load_driver
    from brainloop.studio.server import serve

    load_driver(driver)  # a mistake is told here, not on the page
    home = Path()
    if Path(driver).is_file():
        home, driver = Path(driver).resolve().parent, Path(driver).name
    what = {"driver": driver, "watcher": watcher, "seed": seed, "seconds": f"{seconds:g}", "start": 1}
    serve(home, None, host=host, port=port, browse=_has_screen(), page=f"/drive?{urlencode(what)}", told=out.print)


def _drive_here(
    name: str, recordings: Sequence[Path], seed: int, seconds: float, folder: Path | None, film: Path | None
) -> None:
    """Drive without a page, a synthetic or a recorded person watching."""
    from brainloop.driving.agent import load_driver
    from brainloop.driving.drive import Drive
    from brainloop.driving.recorded import DriveFacts, record

    driver, said = load_driver(name), Path(name).stem
    who = RECORDED if recordings else PERSON
    out.print(f"{said} drives along road {seed}; {who} watches.")

    def driven() -> "Iterator[Instant]":
        yield from _shown(Drive(seed, driver, _watcher(recordings, seed), seconds=seconds))

    run = driven()
    if folder is not None:
        run = record(run, folder, DriveFacts(seed, seconds, said, who))
    _tell(said, who, list(run), film)
    if folder is not None:
        out.print(f"Recorded: {folder}; brainloop drive replay {folder}")


def _watcher(recordings: Sequence[Path], seed: int) -> "Watcher":
    """Make whoever watches without a page."""
    if not recordings:
        from brainloop.driving.eeg_watcher import synthetic_watcher

        with err.status("the synthetic person calibrates"):
            return synthetic_watcher(seed)
    from brainloop.driving.watchers import ReplayWatcher
    from brainloop.eeg.recordings import read_recordings
    from brainloop.observers.answers import decode

    with bar("decoding") as progress:
        return ReplayWatcher(decode(read_recordings(recordings), progress=progress), seed=seed)


def _shown(run: "Drive") -> "Iterator[Instant]":
    """Pass a drive on, with a bar and a live line on a terminal."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.fields[said]}"), BarColumn(bar_width=20))
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as drawn:
        task, recent = drawn.add_task("drive", total=run.seconds, said=""), 0.0
        for instant in run:
            recent = max([one.evidence for one in instant.heard], default=0.9 * recent)
            drawn.update(task, completed=instant.time, said=_line(instant, recent))
            yield instant


def _line(instant: "Instant", evidence: float) -> str:
    """Say how it is going, in one line."""
    filled = round(8 * min(max(evidence / STRONG, 0.0), 1.0))
    state = instant.state
    said = [
        f"{instant.time:5.1f} s",
        f"{3.6 * instant.scene.speed:2.0f} km/h",
        f"hazard {'█' * filled}{'·' * (8 - filled)}",
        f"attention {_gauge(state.attention if state else None)}",
        f"emotion {_gauge(state.valence if state else None)}",
    ]
    return "  ".join(said)


def _gauge(value: float | None) -> str:
    return "  -- " if value is None else f"{value:+4.1f} "


def _tell(name: str, watcher: str, instants: "Sequence[Instant]", film: Path | None) -> None:
    """Say what happened, what came of it, and what must not be read into it; film it if a file is named."""
    from brainloop.driving.drive import summary
    from brainloop.eeg.mental_state import CAVEATS

    for line in _events(instants):
        out.print(line)
    found = summary(instants)
    latency = "   --" if found.latency_s is None else f"{found.latency_s:3.1f} s"
    width = max(len(name), len("driver"))
    out.print(f"{'driver':{width}}  time    progress  collisions  hazards  detected  false alarms/h  latency")
    out.print(
        f"{name:{width}}  {found.seconds:4.0f} s  {found.progress:8.0%}  {found.collisions:10d}  {found.hazards:7d}  "
        f"{found.hits:8d}  {found.false_alarms_per_hour:14.0f}  {latency:>7}"
    )
    caveats = [{PERSON: SYNTHETIC, RECORDED: REPLAYED}.get(watcher, TOY)]
    for what, of in (("attention", "attention"), ("emotion (experimental)", "valence")):
        known = [value for one in instants if (value := getattr(one.state, of, None)) is not None]
        if known:
            out.print(
                f"{what}: {sum(known) / len(known):+.1f} SD of their own baseline on average, {min(known):+.1f} to "
                f"{max(known):+.1f}; blank {1 - len(known) / len(instants):.0%} of the time"
            )
            caveats.append(CAVEATS[of])
        else:
            out.print(f"{what}: not available")
    if film is not None:
        from brainloop.driving.film import film as make_film

        with bar("film") as progress:
            make_film([(name, instants)], film, progress=progress)
        out.print(f"Film: {film}")
    for caveat in caveats:
        out.print(caveat)


def _events(instants: "Sequence[Instant]") -> Iterator[str]:
    """Say what happened when, a line each."""
    from brainloop.driving.drive import HIT, hazard_onsets

    onsets = hazard_onsets(instants)
    for instant in instants:
        if instant.time in onsets:
            yield f"{instant.time:5.1f} s  a hazard begins"
        if instant.alarm:
            since = [instant.time - onset for onset in onsets if HIT[0] - 0.05 < instant.time - onset < HIT[1] + 0.05]
            yield f"{instant.time:5.1f} s  " + (f"detected, {since[-1]:.1f} s later" if since else "a false alarm")
        if instant.ended == "collision":
            yield f"{instant.time:5.1f} s  a collision; it goes on along the next road"
