"""The commands `collect` and `rank`; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainloop.terminal import bar, err, out

if TYPE_CHECKING:
    from brainloop.images.pool import Skipped

__all__ = ["add_commands"]

EngineName = Annotated[str, typer.Option("--engine", help="local, or ray: Ray Data, on this machine or a cluster.")]
Address = Annotated[str | None, typer.Option(help="Of a running Ray cluster; without it Ray is started here.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads or actors; as many as there are cores.")]


def add_commands(app: typer.Typer) -> None:
    """Put the commands where `brainloop.cli` keeps all of them."""
    app.command("collect")(collect)
    app.command("rank")(rank)


def collect(
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A folder or URL of images, class folders below it.")],
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="A folder, or a URL such as s3://bucket/c.")],
    backbone: Annotated[str, typer.Option(help="As in `new`.")] = "builtin",
    backbone_output: Annotated[str | None, typer.Option(help="As in `new`.")] = None,
    precision: Annotated[str, typer.Option(help="float16 or float32, of the vectors.")] = "float16",
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
) -> None:
    """List and embed any number of images, in shards; give it again to add new images or to go on."""
    from brainloop.collection import Collection, embed_collection, scan_collection
    from brainloop.engine import make_engine
    from brainloop.images.backbones import load_backbone

    runner = make_engine(engine, address, workers)
    network = load_backbone(backbone, output=backbone_output)
    spec = str(Path(backbone).resolve()) if Path(backbone).exists() else backbone
    with bar("scanning") as progress:
        scan = scan_collection(
            collection, images, network, spec=spec, output=backbone_output, dtype=precision, progress=progress
        )
    opened = Collection.open(collection)
    with bar("embedding") as progress:
        failed = embed_collection(opened, runner, backbone=network, progress=progress)
    _list(scan.skipped, scan.n_skipped)
    _list(failed, len(failed))
    out.print(
        f"{collection}: {opened.n_images} images, {scan.n_new} of them new, {opened.width} numbers each; shards: "
        f"{len(opened.manifest.shards)}"
    )


def rank(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="As in `collect`, or Parquet of vectors.")],
    path: Annotated[Path, typer.Option("--out", help="A .csv or .parquet file.")],
    top: Annotated[int, typer.Option(min=1, help="Images to list.")] = 1000,
    by: Annotated[str, typer.Option(help="target: the surest first; unsure: the least sure first.")] = "target",
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
) -> None:
    """List the images of a collection that a study's last head is surest, or least sure, of."""
    from brainloop._tables import writer_of
    from brainloop.collection import Collection
    from brainloop.engine import make_engine
    from brainloop.listing import list_top
    from brainloop.study import Study

    write = writer_of(path)
    runner = make_engine(engine, address, workers)
    study, opened = Study.open(folder), Collection.open(collection)
    with bar("scoring") as progress:
        listed, ranking = list_top(study, opened, runner, top=top, by=by, progress=progress)
    write([vars(one) for one in listed])
    left_out = f"; {ranking.n_left_out} have no vector" if ranking.n_left_out else ""
    out.print(f"{path}: {len(listed)} of {ranking.n} images{left_out}")
    if not opened.fingerprint:
        err.print("Nobody wrote down what made these vectors: that it was the study's backbone is taken on trust.")


def _list(skipped: "list[Skipped]", n: int, most: int = 10) -> None:
    if not n:
        return
    err.print("1 file was skipped:" if n == 1 else f"{n} files were skipped:")
    for entry in skipped[:most]:
        err.print(f"  {entry.path}: {entry.reason}")
    if n > most:
        err.print(f"  and {n - most} more")
