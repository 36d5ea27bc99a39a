"""Shards of vectors: .npy files checked by their length, mapped where they are local, read in ranges from afar."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brainloop._types import FloatArray
from brainloop.collection.place import Place
from brainloop.errors import MissingExtraError, StudyError

__all__ = ["BLOCK_BYTES", "NpyShard", "ParquetShard", "Shard"]

BLOCK_BYTES = 1 << 23
"""Bytes of one read from afar: long against a request's 20 ms, short against the memory."""

_HEADER = 4096


class Shard(Protocol):
    """Rows of vectors, in order."""

    @property
    def n(self) -> int:
        """Number of rows."""
        ...

    def blocks(self) -> Iterator[FloatArray]:
        """Yield all rows, in order, in blocks (k, width) as they are stored."""
        ...


@dataclass(frozen=True)
class NpyShard:
    """A shard as one .npy file.

    Parameters
    ----------
    place : Place
        The collection's folder.
    name : str
        The file's, in it.
    n, width : int
        Shape.
    dtype : str
        Of the numbers: float16 or float32.
    """

    place: Place
    name: str
    n: int
    width: int
    dtype: str

    def fault(self) -> str | None:
        """Say what is wrong with the file, by its length and its header; None where it is whole."""
        size = self.place.size(self.name)
        if size is None:
            return "it is not there"
        try:
            head = self.place.read(self.name, 0, min(size, _HEADER))
            shape, dtype, start = _header(head)
        except (ValueError, EOFError, SyntaxError, FileNotFoundError) as error:
            return f"it is no .npy file ({error})"
        if shape != (self.n, self.width) or dtype != np.dtype(self.dtype):
            return f"it holds {dtype} of shape {shape}, not {self.dtype} of shape {(self.n, self.width)}"
        if (wanted := start + self._bytes(self.n)) != size:
            return f"it has {size:,} bytes, not {wanted:,}: it was cut short" if size < wanted else "it is too long"
        return None

    def blocks(self) -> Iterator[FloatArray]:
        """Yield all rows; of a local file as one block, mapped."""
        start = self._start()
        if self.place.local is not None:
            if self.n:
                shape = (self.n, self.width)
                yield np.memmap(self.place.path(self.name), self.dtype, "r", offset=start, shape=shape)
            return
        step = max(1, BLOCK_BYTES // self._bytes(1))
        for first in range(0, self.n, step):
            yield self._read(start, first, min(first + step, self.n))

    def rows(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Give some rows, rising, (k, width)."""
        start = self._start()
        if self.place.local is not None:
            mapped = np.memmap(self.place.path(self.name), self.dtype, "r", offset=start, shape=(self.n, self.width))
            return np.asarray(mapped[rows], dtype=np.float32)
        # From afar, what lies within a block's length is one read.
        found = np.empty((len(rows), self.width), dtype=np.float32)
        step, first = max(1, BLOCK_BYTES // self._bytes(1)), 0
        while first < len(rows):
            last = int(np.searchsorted(rows, rows[first] + step))
            block = self._read(start, int(rows[first]), int(rows[last - 1]) + 1)
            found[first:last] = block[rows[first:last] - rows[first]]
            first = last
        return found

    def _read(self, start: int, first: int, last: int) -> FloatArray:
        data = self.place.read(self.name, start + self._bytes(first), start + self._bytes(last))
        block: FloatArray = np.frombuffer(data, self.dtype).reshape(-1, self.width)
        return block

    def _start(self) -> int:
        if fault := self.fault():
            raise StudyError(
                f"expected {self.n:,} vectors of width {self.width} in {self.place.url}/{self.name}, but {fault}; "
                "give the command `collect` again: it embeds this shard anew"
            )
        return _header(self.place.read(self.name, 0, min(_HEADER, self.place.size(self.name) or 0)))[2]

    def _bytes(self, n: int) -> int:
        return n * self.width * np.dtype(self.dtype).itemsize


def _header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Read a header of .npy: shape, kind of numbers, where they begin."""
    file = BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the format")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if by_columns and min(shape, default=0) > 1:
        raise ValueError("stored column by column")
    return tuple(shape), dtype, file.tell()


@dataclass(frozen=True)
class ParquetShard:
    """A Parquet file with a column of vectors, as others write them.

    Parameters
    ----------
    place : Place
        The collection's folder.
    name, column : str
        The file's and the column's.
    n, width : int
        Shape.
    """

    place: Place
    name: str
    column: str
    n: int
    width: int

    def fault(self) -> str | None:
        """Say what is wrong with the file; None where it can be opened."""
        return None if self.place.size(self.name) else "it is not there"

    def blocks(self) -> Iterator[FloatArray]:
        """Yield all rows."""
        pq, file = open_parquet(self.place, self.name)
        step = max(1, BLOCK_BYTES // (4 * self.width))
        with file:
            try:
                for batch in pq.ParquetFile(file).iter_batches(batch_size=step, columns=[self.column]):
                    yield self._matrix(batch.column(0))
            except OSError as error:
                raise StudyError(f"cannot read {self.place.url}/{self.name}: {error}; write it again") from error

    def rows(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Give some rows, rising, (k, width)."""
        found, start = [], 0
        for block in self.blocks():
            inside = rows[(rows >= start) & (rows < start + len(block))] - start
            found.append(np.asarray(block[inside], dtype=np.float32))
            start += len(block)
        return np.concatenate(found) if found else np.empty((0, self.width), np.float32)

    def _matrix(self, column: Any) -> FloatArray:
        if column.null_count:
            raise StudyError(f"{self.place.url}/{self.name}: column {self.column} has rows without a vector; fill them")
        values = column.flatten().to_numpy(zero_copy_only=False)
        if values.size != len(column) * self.width:
            raise StudyError(
                f"{self.place.url}/{self.name}: expected vectors of width {self.width} in column {self.column}, found "
                f"{math.ceil(values.size / max(len(column), 1))} on average; keep one width"
            )
        matrix: FloatArray = values.reshape(len(column), self.width)
        return matrix


def open_parquet(place: Place, name: str) -> tuple[Any, Any]:
    """Give pyarrow's Parquet module and a file, open."""
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", f"reading {name}", error) from error
    if place.local is not None:
        return pq, (place.local / name).open("rb")
    return pq, place.fs.open(place.path(name), "rb")
