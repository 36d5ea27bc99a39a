import csv

import pytest

from brainloop._tables import writer_of
from brainloop.errors import SettingsError

ROWS = [{"path": "a,b.png", "p": 0.1 + 0.2}, {"path": 'ä"ö.png', "p": 1e-9}]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_come_back_as_they_were(tmp_path, suffix):
    path = tmp_path / "new" / f"table.{suffix}"
    writer_of(path)(ROWS)
    if suffix == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            found = [row | {"p": float(row["p"])} for row in csv.DictReader(file)]
    else:
        import pyarrow.parquet

        found = pyarrow.parquet.read_table(path).to_pylist()
    assert found == ROWS


def test_another_suffix_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(SettingsError, match=r"\.csv or \.parquet"):
        writer_of(tmp_path / "table.xlsx")
    assert list(tmp_path.iterdir()) == []
