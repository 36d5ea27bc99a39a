import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.annotations import Change, read_annotations, write_amended
from brainloop.errors import AnnotationError

LABELS = {"rose/1.jpg": "rose", "rose/2.jpg": "röse", "tulip/1.jpg": "tulip, red"}


def reasons(annotations):
    return {problem.where: problem.reason for problem in annotations.problems}


def table(path, rows, separator=",", encoding="utf-8"):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ":", "^", " "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_any_separator_and_encoding_are_found_out(pool, tmp_path, separator, encoding):
    file = table(tmp_path / "labels.csv", [("file", "class"), *LABELS.items()], separator, encoding)
    read = read_annotations(file, pool)
    assert read.labels == LABELS
    assert read.format == "csv"
    assert read.classes == {"rose": 1, "röse": 1, "tulip, red": 1}
    assert read.unannotated == ("rose/3.jpg", "tulip/2.jpg", "tulip/3.jpg")
    guessed = {"labels.csv": "is not UTF-8: read as cp1252; save it as UTF-8 to be sure"}
    assert reasons(read) == (guessed if encoding == "cp1252" else {})


@pytest.mark.parametrize(
    "header",
    [
        ("path", "label"), ("Filename", "Class"), ("image", "category"), ("file_name", "annotation"), ("id", "breed"),
        ("File Path", "Target"), ("what", "ever"), None,
    ],
)  # fmt: skip
def test_columns_are_found_by_what_is_in_them_and_by_their_names(pool, tmp_path, header):
    rows = [*([header] if header else []), *LABELS.items()]
    assert read_annotations(table(tmp_path / "labels.csv", rows), pool).labels == LABELS
    turned = [row[::-1] for row in rows]
    assert read_annotations(table(tmp_path / "turned.csv", turned), pool).labels == LABELS


def test_among_other_columns_a_common_name_tells_that_of_classes(pool, tmp_path):
    rows = [("n", "image", "photographer", "label")]
    rows += [(str(n), path, "somebody", label) for n, (path, label) in enumerate(LABELS.items())]
    assert read_annotations(table(tmp_path / "labels.csv", rows), pool).labels == LABELS


def test_columns_may_be_named_or_numbered(pool, tmp_path):
    rows = [("mine", "yours", "file")] + [(label, "?", path) for path, label in LABELS.items()]
    file = table(tmp_path / "labels.csv", rows)
    with pytest.raises(AnnotationError, match=r"1 'mine', 2 'yours', 3 'file'; name the one"):
        read_annotations(file, pool)
    assert read_annotations(file, pool, label_column="mine").labels == LABELS
    assert read_annotations(file, pool, path_column="file", label_column="1").labels == LABELS
    with pytest.raises(AnnotationError, match="no column 'theirs'"):
        read_annotations(file, pool, label_column="theirs")
    bare = table(tmp_path / "bare.csv", rows[1:])
    assert read_annotations(bare, pool, path_column="3", label_column="1").labels == LABELS


def test_images_may_be_named_without_suffix_as_in_competitions(paper, tmp_path):
    pool = paper(tmp_path / "train", "0a1f.jpg", "0b2e.jpg")
    file = table(tmp_path / "labels.csv", [("id", "breed"), ("0a1f", "beagle"), ("0b2e", "pug"), ("ffff", "pug")])
    read = read_annotations(file, pool)
    assert read.labels == {"0a1f.jpg": "beagle", "0b2e.jpg": "pug"}
    assert reasons(read) == {"labels.csv, line 4": "'ffff' is not among the images"}


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(pool, tmp_path):
    lines = [
        "path,label",
        "rose/1.jpg,rose",
        "rose/1.jpg,rose",
        "rose/2.jpg,rose",
        "rose/2.jpg,tulip",
        "rose/3.jpg,",
        ",rose",
        "rose/9.jpg,rose",
        "1.jpg,rose",
        "",
        "tulip/1.jpg",
        "tulip/1.jpg,tulip,or,not",
        'tulip/2.jpg,"tulip',
        "tulip/3.jpg,tu\x00lip",
        "  tulip/1.jpg ,  <b>tulip</b> ",
    ]
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(lines))
    read = read_annotations(file, pool)
    assert read.labels == {"rose/1.jpg": "rose", "tulip/1.jpg": "<b>tulip</b>"}
    assert read.unannotated == ("rose/2.jpg", "rose/3.jpg", "tulip/2.jpg", "tulip/3.jpg")
    assert read.repeated == 1
    assert reasons(read) == {
        "labels.csv, line 4": "rose/2.jpg is called 'rose' (labels.csv, line 4) and 'tulip' (labels.csv, line 5): "
        "left without annotation",
        "labels.csv, line 6": "names no class",
        "labels.csv, line 7": "names no image",
        "labels.csv, line 8": "'rose/9.jpg' is not among the images",
        "labels.csv, line 9": "'1.jpg' may be rose/1.jpg or tulip/1.jpg",
        "labels.csv, line 11": "expected 2 cells or more, found 1",
        "labels.csv, line 12": "expected 2 cells, as in the header, found 4",
        "labels.csv, line 13": "has a quote that is not closed",
        "labels.csv, line 14": "the class 'tu\\x00lip' has characters in it that are no text",
    }


def test_an_open_quote_takes_its_own_line_only(pool, tmp_path):
    lines = [
        "path,label",
        'rose/1.jpg,"rose',
        *["tulip/1.jpg,tulip"] * 60,
        'rose/2.jpg,"two\nlines"',
        "rose/3.jpg,rose",
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    read = read_annotations(tmp_path / "labels.csv", pool)
    assert read.labels == {"rose/3.jpg": "rose", "tulip/1.jpg": "tulip"}
    assert read.repeated == 59
    assert set(reasons(read)) == {"labels.csv, line 2", "labels.csv, line 63"}


def test_a_path_says_more_than_a_name_that_ends_as_one(paper, tmp_path):
    pool = paper(tmp_path / "pool", "rose/1.jpg")
    file = table(tmp_path / "labels.csv", [("path", "label"), ("tulip/1.jpg", "tulip"), ("rose/1.jpg", "rose")])
    read = read_annotations(file, pool)
    assert read.labels == {"rose/1.jpg": "rose"}
    assert reasons(read)["labels.csv, line 2"] == "names rose/1.jpg less surely than labels.csv, line 3: left out"


def test_images_that_are_found_in_other_folders_are_said_to_be(paper, tmp_path):
    pool = paper(tmp_path / "pool", "rose/1.jpg", "rose/2.jpg")
    file = table(tmp_path / "labels.csv", [("path", "label"), ("tulip/1.jpg", "tulip"), ("lily/2.jpg", "lily")])
    read = read_annotations(file, pool)
    assert read.labels == {"rose/1.jpg": "tulip", "rose/2.jpg": "lily"}
    assert reasons(read) == {
        "labels.csv, line 2": "2 images are found by their files' names alone, in other folders; "
        "the first: 'tulip/1.jpg' as rose/1.jpg"
    }


def test_an_annotation_of_a_copy_counts_for_its_image(paper, tmp_path):
    pool = paper(tmp_path / "pool", "rose/1.jpg", "rose/2.jpg", copies={"tulip/7.jpg": "rose/1.jpg"})
    rows = [("path", "label"), ("rose/1.jpg", "rose"), ("tulip/7.jpg", "tulip"), ("rose/2.jpg", "rose")]
    read = read_annotations(table(tmp_path / "labels.csv", rows), pool)
    assert read.labels == {"rose/2.jpg": "rose"}


def test_lines_that_are_not_utf8_in_a_file_that_is_are_broken_rows(pool, tmp_path):
    file = tmp_path / "labels.csv"
    rows = ["path,label", "rose/1.jpg,röse", "rose/2.jpg,röse", "rose/3.jpg,rose"]
    file.write_bytes("\n".join(rows).encode() + b"\ntulip/1.jpg,r\xf6se\n")
    read = read_annotations(file, pool)
    assert read.labels == {"rose/1.jpg": "röse", "rose/2.jpg": "röse", "rose/3.jpg": "rose"}
    assert set(reasons(read)) == {"labels.csv, line 5"}
    change = Change("rose/3.jpg", "rose", "tulip", "why", 0.5)
    assert b"r\xf6se" in write_amended(read, [change], tmp_path / "new.csv").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\n\n", "no row with two cells"),
        (b"only one column\nand more\n", "(?s)no (row|column)"),
        (b"path,label\nnot/here.jpg,rose\n", "no annotation in .* counts"),
        (bytes(range(256)) * 40, "no (annotation|row|column)"),
        (b"\0" * 5000, "no (annotation|row|column)"),
    ],
)
def test_a_file_of_which_nothing_can_be_made_says_what_was_expected(pool, tmp_path, content, words):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(AnnotationError, match=words):
        read_annotations(tmp_path / "labels.csv", pool)


def test_a_line_without_end_is_cut_and_named(pool, tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"path,label\nrose/1.jpg,rose\n" + b"a," * 700_000 + b"\nrose/2.jpg,rose\n")
    read = read_annotations(tmp_path / "labels.csv", pool)
    assert read.labels == {"rose/1.jpg": "rose", "rose/2.jpg": "rose"}
    assert "longer than 1,048,576 characters" in read.problems[0].reason


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(str.strip).filter(bool)


@settings(max_examples=150, deadline=None)
@given(
    # A table without a header has no names, so that a cell "1" would be taken for the name of the column asked for.
    labels=st.lists(CELL.filter(lambda cell: "\ufffd" not in cell and cell not in "12"), min_size=2, max_size=8),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
)
def test_what_a_csv_writer_wrote_is_read_as_it_was_and_amended_alone_where_it_changed(
    paper, tmp_path_factory, labels, separator, encoding, quoting, end, header
):
    folder = tmp_path_factory.mktemp("table")
    pool = paper(folder / "pool", *(f"{k}/image.jpg" for k in range(len(labels))))
    given_ = {f"{k}/image.jpg": label for k, label in enumerate(labels)}
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows([*([("path", "label")] if header else []), *given_.items()])
    original = text.getvalue().encode(encoding)
    (folder / "labels.csv").write_bytes(original)
    read = read_annotations(folder / "labels.csv", pool)
    assert read.labels == given_
    assert read.problems == ()

    change = Change("0/image.jpg", labels[0], labels[0] + "!", f'why, "{separator}"', 0.25)
    new = write_amended(read, [change], folder / "new.csv")
    assert (folder / "labels.csv").read_bytes() == original
    assert read_annotations(new, pool, path_column="1", label_column="2").labels == given_ | {
        "0/image.jpg": labels[0] + "!"
    }
    rows = list(csv.reader(io.StringIO(new.read_bytes().decode(encoding), newline=""), delimiter=separator))
    if header:
        assert rows.pop(0) == ["path", "label", "original_label", "reason", "certainty"]
    assert rows[0][2:] == [labels[0], change.reason, "0.25"]
    assert all(row[2:] == ["", "", ""] for row in rows[1:])


def test_an_amended_table_keeps_what_it_had_and_may_be_amended_again(pool, tmp_path):
    original = (
        "n;File;note;Label\r\n1;rose/1.jpg;'ä';rose\r\nbroken\r\n2;rose/2.jpg;\"a;b\";rose\r\n\r\n3;no.jpg;;x\r\n"
    )
    file = tmp_path / "labels.csv"
    file.write_bytes(original.encode("cp1252"))
    read = read_annotations(file, pool)
    new = write_amended(read, [Change("rose/2.jpg", "rose", "tulip", "2 looks", 0.975)], tmp_path / "amended.csv")
    assert new.read_bytes().decode("cp1252") == (
        "n;File;note;Label;original_label;reason;certainty\r\n1;rose/1.jpg;'ä';rose;;;\r\nbroken\r\n"
        '2;rose/2.jpg;"a;b";tulip;rose;2 looks;0.975\r\n\r\n3;no.jpg;;x;;;\r\n'
    )
    again = read_annotations(new, pool)
    assert again.labels == {"rose/1.jpg": "rose", "rose/2.jpg": "tulip"}
    newer = write_amended(again, [Change("rose/1.jpg", "rose", "röse", "a look", 0.6)], tmp_path / "newer.csv")
    assert newer.read_bytes().decode("cp1252").splitlines()[:2] == [
        "n;File;note;Label;original_label;reason;certainty",
        "1;rose/1.jpg;'ä';röse;rose;a look;0.6",
    ]
    # A class that the encoding has no letters for takes the whole file to UTF-8.
    japanese = write_amended(again, [Change("rose/1.jpg", "rose", "薔薇", "a look", 0.6)], tmp_path / "utf8.csv")
    assert "'ä';薔薇;rose" in japanese.read_text(encoding="utf-8")
