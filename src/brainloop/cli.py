"""The command line: thin commands, no logic; what is drawn on a terminal is drawn here."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from brainloop import __version__
from brainloop._types import Progress
from brainloop.cli_audit import add_commands as add_audit_commands
from brainloop.cli_bench import bench
from brainloop.cli_collection import Address, EngineName
from brainloop.cli_collection import add_commands as add_collection_commands
from brainloop.cli_decoder import add_commands as add_decoder_commands
from brainloop.cli_drive import drive
from brainloop.cli_export import add_commands as add_export_commands
from brainloop.cli_fuse import add_commands as add_fuse_commands
from brainloop.cli_headset import headset
from brainloop.cli_people import people
from brainloop.cli_review import add_commands as add_review_commands
from brainloop.cli_stations import add_commands as add_stations_commands
from brainloop.cli_studio import add_commands as add_studio_commands
from brainloop.cli_timing import add_commands as add_timing_commands
from brainloop.errors import BrainloopError
from brainloop.terminal import bar, err, out

if TYPE_CHECKING:
    from brainloop.settings import Settings
    from brainloop.store import Round
    from brainloop.study import Study

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(headset, name="headset")
app.add_typer(people, name="people")
app.add_typer(drive, name="drive")
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; an error that brainloop raises on purpose is one message and exit status 1."""
    try:
        app()
    except (BrainloopError, OSError) as error:
        err.print(f"{type(error).__name__}:", style="bold red", end=" ")
        err.print(error)
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:  # Typer's answer to Ctrl-C
            err.print("Stopped. What was answered is kept; give the same command again to go on.")
        raise


def _say_version(wanted: bool) -> None:
    if wanted:
        out.print(f"brainloop {__version__}")
        raise typer.Exit


@app.callback()
def brainloop(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Train an image classifier from the glances of a person."""


StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]
ImageFolder = Annotated[Path, typer.Argument(metavar="IMAGES", help="A folder of images, class folders below it.")]


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where the demo's images and study go.")] = Path("demo"),
    system: Annotated[str, typer.Option(help="As in `new`.")] = "brainloop",
    seed: Annotated[int, typer.Option(help="One seed, one result.")] = 0,
) -> None:
    """Teach a classifier to find the 3s among scikit-learn's digits, and report it."""
    from brainloop.demo import demo_settings, write_digits
    from brainloop.study import Study

    settings, who = demo_settings(folder / "images", system, seed)
    out.print(who)
    with bar("images") as progress:
        write_digits(folder / "images", progress)
    number = 1
    while (folder / f"study-{number:03d}").exists():
        number += 1
    with bar("scanning") as progress:
        study = Study.create(folder / f"study-{number:03d}", settings, progress=progress)
    _run(study)
    _report(study)


@app.command()
def new(
    folder: StudyFolder,
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES", help="A folder of images, class folders below it; or a collection, from any URL."
        ),
    ],
    target: Annotated[
        list[str],
        typer.Option(help="What is looked for: a class folder's name. Repeat it to tell several classes apart."),
    ],
    observer: Annotated[
        Literal["live", "replay", "simulated"] | None,
        typer.Option(help="live: a person, in the studio. Otherwise class folders below IMAGES are the truth."),
    ] = None,
    recordings: Annotated[
        list[Path] | None,
        typer.Option(help="A recording to replay, or a folder of them; repeat for several. Without any, a simulation."),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="A file or folder that tells the classes, in place of class folders.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="builtin, an ONNX file or folder, a hub repository, or timm:NAME.")
    ] = "builtin",
    backbone_output: Annotated[str | None, typer.Option(help="The backbone's output; its features by default.")] = None,
    precision: Annotated[str, typer.Option(help="float32 or float16, of embeddings on disk.")] = "float32",
    target_event: Annotated[str, typer.Option(help="The recordings' event at a target.")] = "target",
    nontarget_event: Annotated[str, typer.Option(help="The recordings' event at a non-target.")] = "nontarget",
    difficulty: Annotated[float, typer.Option(help="0 to 1: how far hard images evoke weaker responses.")] = 0.0,
    decoder: Annotated[str, typer.Option(help="ensemble, or one of its parts: lda, xdawn_lda, xdawn_ts.")] = "ensemble",
    calibration: Annotated[str, typer.Option(help="platt, isotonic or beta.")] = "platt",
    system: Annotated[
        str, typer.Option(help="brainloop; talk for the talk's way; hard for that without soft labels; truth.")
    ] = "brainloop",
    label_threshold: Annotated[float, typer.Option(help="The talk's THR on its score.")] = 0.5,
    confidence_threshold: Annotated[float, typer.Option(help="The talk's THR on confidence.")] = 0.9,
    looks_per_round: Annotated[int, typer.Option(help="Presentations between two trainings.")] = 50,
    max_looks: Annotated[int, typer.Option(help="Stop here though not converged.")] = 1000,
    block_size: Annotated[int, typer.Option(help="Presentations without a pause.")] = 50,
    pause: Annotated[float, typer.Option(help="Rest between two blocks, s.")] = 5.0,
    soa: Annotated[float | None, typer.Option(help="Onset to onset, s; the recording's own, or .2.")] = None,
    compose: Annotated[
        bool | None, typer.Option("--compose/--no-compose", help="Put fillers around queried images.")
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the images never shown, to measure on.")] = 0.25,
    prevalence: Annotated[float | None, typer.Option(help="Thin a class out until targets have this share.")] = None,
    store: Annotated[
        str | None,
        typer.Option(help="postgresql://HOST/DATABASE, for several stations. A file in the study's folder, without."),
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Let several stations look at the same image at once.")
    ] = False,
    seed: Annotated[int, typer.Option(help="One seed, one result.")] = 0,
) -> None:
    """Make a study: scan the images and write down how to learn from them."""
    given = dict(locals())
    from brainloop.collection import is_collection
    from brainloop.settings import Settings
    from brainloop.study import Study

    given.pop("folder")
    sought = {"target": target[0]} if len(target) == 1 else {"target": "", "classes": tuple(target)}
    more = {"recordings": tuple(recordings or ()), "annotations": annotations and str(annotations)}
    if is_collection(images):
        more["collection"] = images
    settings = Settings(**given | sought | more)
    with bar("scanning") as progress:
        study = Study.create(folder, settings, progress=progress)
    parts = [image.part for image in study.store.images()]
    counts = {part: parts.count(part) for part in ("pool", "test", "aside") if part in parts}
    out.print(f"{folder}: " + ", ".join(f"{count} images in the {part} part" for part, count in counts.items()))
    others = Counter(image.label for image in study.store.images() if image.part == "aside")
    if settings.classes and others:
        said = ", ".join(f"{label or 'no class'} ({count})" for label, count in sorted(others.items(), key=str))
        err.print(f"Not among the classes, and left aside: {said}")
    _list_skipped(study.store.skipped())
    out.print(f"Next: brainloop {'studio' if settings.observer == 'live' else 'run'} {folder}")


@app.command()
def embed(folder: StudyFolder) -> None:
    """Compute the images' embeddings, those that are missing; `run` does it too."""
    from brainloop.study import Study

    study = Study.open(folder)
    data = _embed(study)
    out.print(
        f"{len(data.pool) + len(data.test)} embeddings of {data.pool.shape[1]} numbers are in {folder / 'embeddings'}"
    )


@app.command()
def run(
    folder: StudyFolder,
    station: Annotated[
        str | None, typer.Option(help="This station's name, where several share the study; the host's by default.")
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Run the loop from where it stands; stop it at any time, and run it again."""
    from brainloop.study import Study

    study = Study.open(folder)
    _run(study, station)
    while study.settings.collection and _draw(study, engine, address):
        _run(study, station)
    out.print(f"Next: brainloop report {folder}")


@app.command()
def status(folder: StudyFolder) -> None:
    """Show the rounds of a study so far."""
    from brainloop.study import Study

    study = Study.open(folder)
    settings, rounds = study.settings, study.store.rounds()
    answered = sum(count for _, count in study.store.blocks())
    out.print(f"{folder}: looking for {' and '.join(map(repr, settings.sought))} in {settings.images}")
    out.print(f"observer {settings.observer}, system {settings.system}, seed {settings.seed}")
    out.print(
        f"{answered} presentations answered, {answered - (rounds[-1].looks if rounds else 0)} of them in the open round"
    )
    if rounds:
        out.print(_head(study.settings))
    for done in rounds:
        out.print(_row(done))
    _list_skipped(study.store.skipped())
    out.print(_verdict(study, rounds))


@app.command()
def report(
    folder: StudyFolder,
    path: Annotated[
        Path | None, typer.Option("--out", help="The HTML file; STUDY/reports/report.html by default.")
    ] = None,
) -> None:
    """Write the report: one HTML file that needs nothing else."""
    from brainloop.study import Study

    _report(Study.open(folder), path)


@app.command()
def predict(
    folder: StudyFolder,
    images: ImageFolder,
    path: Annotated[Path, typer.Option("--out", help="A .csv or .parquet file.")] = Path("predictions.csv"),
) -> None:
    """Classify a folder of images with the study's last head."""
    from brainloop._tables import writer_of
    from brainloop.prediction import predict as classify
    from brainloop.study import Study

    write = writer_of(path)
    study = Study.open(folder)
    with bar("embedding") as progress:
        predictions, skipped = classify(study, images, progress=progress)
    write([prediction.row for prediction in predictions])
    _list_skipped([(entry.path, entry.reason) for entry in skipped])
    counts = Counter(prediction.label for prediction in predictions)
    said = ", ".join(f"{count} {label}" for label, count in counts.most_common())
    out.print(f"{path}: {len(predictions)} images, most likely {said}")


add_audit_commands(app)
add_review_commands(app)
add_fuse_commands(app)
add_export_commands(app)
add_collection_commands(app)
add_decoder_commands(app)
add_studio_commands(app)
add_stations_commands(app)
add_timing_commands(app)


def _run(study: "Study", station: str | None = None) -> None:
    from brainloop.loop import run as loop
    from brainloop.observers.observer import make_observer
    from brainloop.station import default_station

    station = station or default_station(study.store)
    if not study.store.is_shared:
        with study.running(station):
            pass  # another process that runs it is named before any work is done
    data = _embed(study)
    with bar("decoding") as progress:
        observer = make_observer(study, data, progress, station=station)
    for about in observer.facts["recordings"]:
        err.print(_who(about))
    done = study.store.rounds()
    out.print(_head(study.settings))
    for earlier in done:
        out.print(_row(earlier))
    bars: list[Progress] = []
    rounds = loop(study, observer, station=station, progress=lambda answered, planned: bars[-1](answered, planned))
    while True:
        with bar("looks") as progress:  # one bar a round: a row must not be printed into a bar that is drawn
            bars.append(progress)
            measures = next(rounds, None)
        if measures is None:
            break
        out.print(_row(measures))
        done.append(measures)
    out.print(_verdict(study, done))


def _draw(study: "Study", engine: str, address: str | None) -> bool:
    """Draw the working part of a collection anew; False once that brings nothing new to ask about."""
    from brainloop.drawing import draw_anew
    from brainloop.engine import make_engine

    if study.store.rounds()[-1].looks >= study.settings.max_looks:
        return False
    with bar("scoring") as progress:
        drawn = draw_anew(study, make_engine(engine, address, None), progress=progress)
    out.print(f"Scored {drawn.images} images; drew {drawn.new} new ones, of {drawn.unsure} of which it is not sure.")
    return drawn.unsure > 0


def _embed(study: "Study") -> Any:
    with bar("embedding") as progress:
        data = study.data(progress)
    _list_skipped(study.store.skipped())
    return data


def _report(study: "Study", path: Path | None = None) -> None:
    from brainloop.report import write_report

    with bar("report") as progress:
        written = write_report(study, path / "report.html" if path and path.is_dir() else path, progress=progress)
    out.print(f"Report: {written}")


def _head(settings: "Settings") -> str:
    what = "accuracy, never shown" if settings.classes else "AUC, never shown"
    if settings.use != "train":
        what = "AUC of classifier and looks"
    return f"round  looks  images  viewing   machine  unsure  {what} [95 %]"


def _who(about: dict[str, Any]) -> str:
    said = (
        f"{about['name']}: {len(about['channels'])} channels, {about['training_trials']} calibration trials, "
        f"decoder AUC {about['auc_calibration']:.2f} on those held out"
    )
    if about["auc_calibration_low"] > 0.5:
        return said
    return f"{said}: no better than chance, so that little can be learned from it; see to electrodes and events"


def _row(done: "Round") -> str:
    auc = "unknown"
    if done.accuracy is not None:
        auc = f"{done.accuracy:.3f} [{done.accuracy_low:.3f}, {done.accuracy_high:.3f}]"
    elif done.auc is not None:
        auc = f"{done.auc:.3f} [{done.auc_low:.3f}, {done.auc_high:.3f}]"
    return (
        f"{done.number:5d}  {done.looks:5d}  {done.images:6d}  {done.viewing_s / 60:4.1f} min  "
        f"{done.machine_s:5.2f} s  {done.unsure:5.1%}   {auc}"
    )


def _verdict(study: "Study", rounds: "list[Round]") -> str:
    if not rounds:
        return "No round is over yet."
    if rounds[-1].converged:
        return f"Converged: {rounds[-1].unsure:.1%} of the pool is unsure."
    if rounds[-1].looks >= study.settings.max_looks:
        return (
            f"Stopped at max_looks = {study.settings.max_looks}; {rounds[-1].unsure:.0%} of the pool is still unsure. "
            f"To go on, raise max_looks in {study.folder / 'study.toml'} and run again."
        )
    return f"Not converged: {rounds[-1].unsure:.0%} of the pool is unsure."


def _list_skipped(skipped: "list[tuple[str, str]]", most: int = 10) -> None:
    if not skipped:
        return
    err.print("1 file was skipped:" if len(skipped) == 1 else f"{len(skipped)} files were skipped:")
    for path, reason in skipped[:most]:
        err.print(f"  {path}: {reason}")
    if len(skipped) > most:
        err.print(f"  and {len(skipped) - most} more")
