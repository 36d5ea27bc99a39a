import csv
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from brainloop.annotations import Change, read_annotations, write_amended
from brainloop.errors import AnnotationError, MissingExtraError, SettingsError
from brainloop.images.pool import scan


@pytest.fixture
def flowers(photographs, tmp_path):
    """Two class folders with four photographs each, which a test may change."""
    for label in ("rose", "sky"):
        (tmp_path / "flowers" / label).mkdir(parents=True)
        for path in sorted((photographs / label).iterdir())[:4]:
            shutil.copy(path, tmp_path / "flowers" / label)
    return tmp_path / "flowers"


def table(path, **columns):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
    return path


def test_the_pools_own_class_folders_are_annotations(flowers, tmp_path):
    pool = scan(flowers)
    read = read_annotations(flowers, pool)
    assert read.labels == {image.path: image.label for image in pool.images}
    assert (read.format, read.problems, read.unannotated, read.classes) == ("folders", (), (), {"rose": 4, "sky": 4})
    first = pool.images[0]
    new = write_amended(read, [Change(first.path, "rose", "sky", "why", 0.75)], tmp_path / "amended.csv")
    assert new.read_text().splitlines()[:3] == [
        "path,label,original_label,reason,certainty",
        f"{first.path},sky,rose,why,0.75",
        f"{pool.images[1].path},rose,,,",
    ]
    assert read_annotations(new, pool).labels == read.labels | {first.path: "sky"}
    assert scan(flowers) == pool


def test_images_are_told_by_their_content_in_other_class_folders(flowers, tmp_path):
    pool = scan(flowers)
    other = tmp_path / "other"
    shutil.copytree(flowers, other)
    rose, sky = pool.images[0], pool.images[-1]
    # Names trade places: only the content tells which image is meant.
    (other / rose.path).rename(tmp_path / "kept.png")
    (other / sky.path).rename(other / rose.path)
    (tmp_path / "kept.png").rename(other / sky.path)
    shutil.copy(other / pool.images[1].path, other / "sky" / "again.png")
    (other / pool.images[2].path).unlink()
    (other / "notes.txt").write_text("by hand")
    read = read_annotations(other, pool)
    assert read.labels[rose.path] == "sky"
    assert read.labels[sky.path] == "rose"
    assert read.unannotated == (pool.images[1].path, pool.images[2].path)
    assert {problem.where for problem in read.problems} == {"notes.txt", pool.images[1].path}


def test_a_copy_in_another_class_folder_is_a_contradiction(flowers):
    shutil.copy(sorted((flowers / "rose").iterdir())[0], flowers / "sky" / "again.png")
    pool = scan(flowers)
    read = read_annotations(flowers, pool)
    assert read.unannotated == (pool.images[0].path,)
    assert "is called 'rose'" in read.problems[0].reason
    assert "sky/again.png" in read.problems[0].reason


def test_parts_of_a_data_set_are_no_classes(flowers, tmp_path):
    for part, label in [("train", "rose"), ("test", "sky")]:
        shutil.copytree(flowers / label, tmp_path / "parts" / part / label)
    read = read_annotations(tmp_path / "parts", scan(tmp_path / "parts"))
    assert read.classes == {"rose": 4, "sky": 4}
    # One part alone may be what they are named after.
    shutil.copytree(flowers / "rose", tmp_path / "trains" / "train")
    shutil.copytree(flowers / "sky", tmp_path / "trains" / "ship")
    assert read_annotations(tmp_path / "trains", scan(tmp_path / "trains")).classes == {"ship": 4, "train": 4}


def write_csv(path, names, labels):
    table(path, file_name=names, label=labels, note=[f'"{k}"' for k in range(len(names))])


def write_jsonl(path, names, labels):
    records = [{"file_name": name, "label": label} for name, label in zip(names, labels, strict=True)]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def write_parquet(path, names, labels):
    pq.write_table(pa.table({"file_name": names, "label": labels}), path)


METADATA = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.mark.parametrize("suffix", METADATA)
def test_an_amended_imagefolder_is_read_by_datasets(flowers, tmp_path, suffix):
    from datasets import load_dataset

    images = tmp_path / "images"
    images.mkdir()
    for path in flowers.glob("*/*.png"):
        shutil.copy(path, images / f"{path.parent.name}-{path.name}")
    pool = scan(images)
    names = [image.path for image in pool.images]
    labels = [name.partition("-")[0] for name in names]
    METADATA[suffix](images / f"metadata.{suffix}", names, labels)

    read = read_annotations(images, pool)
    assert (read.format, read.labels, read.problems) == ("huggingface", dict(zip(names, labels, strict=True)), ())
    change = Change(names[1], "rose", "sky", "2 looks", 0.875)
    with pytest.raises(SettingsError, match="never touched"):
        write_amended(read, [change], images / f"metadata.{suffix}", force=True)
    new = write_amended(read, [change], tmp_path / f"new.{suffix}")

    new.replace(images / f"metadata.{suffix}")
    told = load_dataset("imagefolder", data_dir=str(images), cache_dir=str(tmp_path / "cache"), split="train")
    by_pixel = {image.tobytes(): k for k, image in enumerate(told["image"])}
    assert len(by_pixel) == len(names)
    labels[1] = "sky"
    assert sorted(told["label"]) == sorted(labels)
    (row,) = [row for row in told if row["original_label"] == "rose"]
    assert (row["label"], row["reason"], row["certainty"]) == ("sky", "2 looks", 0.875)
    assert read_annotations(images, pool).labels == dict(zip(names, labels, strict=True))


def test_metadata_in_several_folders_come_to_one_table_for_the_folder_above(flowers, tmp_path):
    from datasets import load_dataset

    pool = scan(flowers)
    for label in ("rose", "sky"):
        names = [path.name for path in sorted((flowers / label).glob("*.png"))]
        table(flowers / label / "metadata.csv", file_name=names, label=[f"a {label}"] * 4)
    read = read_annotations(flowers, pool)
    assert read.format == "huggingface"
    assert read.labels == {image.path: f"a {image.label}" for image in pool.images}
    assert (read.source, read.reader.path) == (flowers, flowers / "metadata.csv")
    change = Change(pool.images[0].path, "a rose", "a sky", "2 looks", 0.875)
    new = write_amended(read, [change], tmp_path / "new.csv")
    for label in ("rose", "sky"):
        (flowers / label / "metadata.csv").unlink()
    new.rename(flowers / "metadata.csv")
    assert read_annotations(flowers, pool).labels == read.labels | {change.path: "a sky"}
    told = load_dataset("imagefolder", data_dir=str(flowers), cache_dir=str(tmp_path / "cache"), split="train")
    assert sorted(told["label"]) == ["a rose"] * 3 + ["a sky"] * 5


def test_one_metadata_file_in_a_folder_below_stays_relative_to_it(flowers, tmp_path):
    pool = scan(flowers)
    names = [path.name for path in sorted((flowers / "rose").glob("*.png"))]
    table(flowers / "rose" / "metadata.csv", file_name=[f"./{name}" for name in names], label=["a rose"] * 4)
    read = read_annotations(flowers, pool)
    assert read.labels == {f"rose/{name}": "a rose" for name in names}
    assert (read.source, read.reader.path) == (flowers, flowers / "rose" / "metadata.csv")
    new = write_amended(read, [Change(f"rose/{names[0]}", "a rose", "none", "", 1)], tmp_path / "new.csv")
    assert new.read_text().splitlines()[1] == f"./{names[0]},none,a rose,,1"


def test_metadata_that_tell_no_classes_leave_the_class_folders(flowers):
    table(flowers / "metadata.csv", file_name=["rose/000.png"], caption=["a red one"])
    read = read_annotations(flowers, scan(flowers))
    assert read.format == "folders"
    assert read.classes == {"rose": 4, "sky": 4}
    assert read.problems[0].where == "metadata.csv"


def test_parquet_without_pyarrow_names_the_extra(flowers, monkeypatch):
    write_parquet(flowers / "labels.parquet", ["rose/000.png"], ["rose"])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"\[parquet\]"):
        read_annotations(flowers / "labels.parquet", scan(flowers))


def test_a_folder_without_classes_or_a_path_without_file_says_what_was_expected(flowers, tmp_path):
    pool = scan(flowers)
    flat = tmp_path / "flat"
    shutil.copytree(flowers / "rose", flat)
    with pytest.raises(AnnotationError, match="expected annotations in"):
        read_annotations(flat, pool)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match="expected class folders"):
        read_annotations(tmp_path / "empty", pool)
    with pytest.raises(AnnotationError, match="found nothing at"):
        read_annotations(tmp_path / "labels.csv", pool)


def test_real_photographs_by_folders_and_by_a_table_say_the_same(shared, tmp_path):
    pool = scan(shared / "data" / "images" / "flower_photos")
    folders = read_annotations(pool.root, pool)
    assert len(folders.classes) == 5
    assert len(folders.labels) + len(folders.unannotated) == len(pool)
    changes = [
        Change(path, label, "tulips" if label != "tulips" else "roses", f"look {k}", k / 10)
        for k, (path, label) in enumerate([*folders.labels.items()][::200])
    ]
    new = write_amended(folders, changes, tmp_path / "amended.csv")
    expected = folders.labels | {change.path: change.now for change in changes}
    assert read_annotations(new, pool).labels == expected

    # As it would come from somewhere else: names alone, Windows' encoding, one line each that is no good.
    text = "Datei;Klasse\r\n" + "".join(f"D:\\Bilder\\{path};{label}\r\n" for path, label in expected.items())
    text = text.replace("/", "\\") + "D:\\Bilder\\daisy\\missing.jpg;Gänseblümchen\r\n"
    (tmp_path / "windows.csv").write_bytes(text.encode("cp1252"))
    read = read_annotations(tmp_path / "windows.csv", pool)
    assert read.labels == expected
    assert [problem.where for problem in read.problems] == ["windows.csv", f"windows.csv, line {len(expected) + 2}"]
