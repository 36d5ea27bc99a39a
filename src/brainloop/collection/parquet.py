"""Tables of a collection in Parquet: its own manifests, and the files of vectors that others wrote."""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from brainloop.collection.place import Place
from brainloop.collection.shards import ParquetShard, open_parquet
from brainloop.errors import MissingExtraError, StudyError

__all__ = ["column_of_paths", "foreign_shards", "read_table", "write_table"]

_PATHS = ("path", "image", "file", "file_name", "filename", "image_path", "url", "key", "id")


def write_table(place: Place, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of text and whole numbers, whole or not at all."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", f"writing {name}", error) from error
    kinds = {"size": pa.int64()}
    table = pa.table({key: pa.array(list(values), kinds.get(key, pa.string())) for key, values in columns.items()})
    data = BytesIO()
    pq.write_table(table, data, compression="zstd")
    place.write(name, data.getvalue())


def read_table(place: Place, name: str, columns: Iterable[str]) -> Any:
    """Read some columns of a file as a table of pyarrow.

    Raises
    ------
    StudyError
        If the file is missing or damaged.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", f"reading {name}", error) from error
    try:
        return pq.read_table(BytesIO(place.read(name)), columns=list(columns))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise StudyError(
            f"expected a whole Parquet file at {place.url}/{name}: {error}; put back a copy, or collect anew"
        ) from error


def foreign_shards(place: Place) -> list[ParquetShard]:
    """List the Parquet files of a folder that hold a column of vectors, in the order of their names.

    Raises
    ------
    StudyError
        If the vectors of two files differ in width, or a file is damaged.
    """
    shards = []
    for name in place.names("", ".parquet"):
        pq, opened = open_parquet(place, name)
        import pyarrow as pa

        with opened:
            try:
                file = pq.ParquetFile(opened)
                column = next((field for field in file.schema_arrow if _is_vector(field.type)), None)
                if column is None or not file.metadata.num_rows:
                    continue
                first = next(file.iter_batches(batch_size=1, columns=[column.name])).column(0)
            except (OSError, pa.ArrowException) as error:
                raise StudyError(f"expected a Parquet file at {place.url}/{name}: {error}; write it again") from error
        shards.append(ParquetShard(place, name, column.name, file.metadata.num_rows, len(first[0])))
    widths = {shard.width: shard.name for shard in shards}
    if len(widths) > 1:
        said = " and ".join(f"{width} in {name}" for width, name in widths.items())
        raise StudyError(f"expected vectors of one width in {place.url}, found {said}; take one kind of vectors")
    return shards


def column_of_paths(place: Place, name: str) -> str:
    """Name the column that tells where an image lies, or else what it is called."""
    pq, opened = open_parquet(place, name)
    with opened:
        schema = pq.ParquetFile(opened).schema_arrow
    import pyarrow as pa

    plain = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_integer(field.type)]
    plain += [field.name for field in schema if pa.types.is_large_string(field.type)]
    named = [key for key in _PATHS for column in plain if column.lower() == key]
    by_name = {column.lower(): column for column in plain}
    if not plain:
        raise StudyError(f"expected a column of paths or ids in {place.url}/{name}, found none; add a column `path`")
    return str(by_name[named[0]] if named else plain[0])


def _is_vector(kind: Any) -> bool:
    import pyarrow as pa

    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_list and pa.types.is_floating(kind.value_type))
