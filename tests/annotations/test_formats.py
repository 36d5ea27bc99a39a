import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.annotations import Change, json_text, read_annotations, write_amended
from brainloop.errors import AnnotationError, BrainloopError

LABELS = {"rose/1.jpg": "rose", "rose/2.jpg": "rosé", "tulip/1.jpg": "tulip"}
CHANGE = Change("rose/2.jpg", "rosé", "tulip", "2 looks say not a rosé, +3.1 nats", 0.9375)
ADDED = {"original_label": "rosé", "reason": CHANGE.reason, "certainty": 0.9375}
CHANGED = LABELS | {"rose/2.jpg": "tulip"}


def dump(path, content):
    path.write_text(json.dumps(content))
    return path


def coco():
    return {
        "info": {"year": 2026},
        "images": [{"id": k, "file_name": path, "width": 9} for k, path in enumerate(LABELS)],
        "categories": [{"id": 10 * k, "name": name} for k, name in enumerate(["rose", "rosé"])]
        + [{"id": 20, "name": "tulip", "supercategory": "flower"}],
        "annotations": [
            {"id": 100 + k, "image_id": k, "category_id": 10 * k, "bbox": [0.1, 2, 3, 4]} for k in range(3)
        ],
    }


def choice(name, **more):
    value = {"choices": [name]}
    return {"id": 1, "result": [{"type": "choices", "from_name": "kind", "to_name": "image", "value": value}]} | more


def tasks():
    return [
        {"id": 7 + k, "data": {"image": f"/data/local-files/?d=photographs/{path}"}, "annotations": [choice(label)]}
        for k, (path, label) in enumerate(LABELS.items())
    ]


def flat(key="choice"):
    return [{"image": path, "id": k, key: label, "annotator": 1} for k, (path, label) in enumerate(LABELS.items())]


def lines(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


@pytest.fixture(params=["coco", "label-studio", "label-studio-min", "jsonl", "parquet"])
def written(request, tmp_path):
    """Return a file of each format with the same annotations, and the format's name."""
    match request.param:
        case "coco":
            file = dump(tmp_path / "coco.json", coco())
        case "label-studio":
            file = dump(tmp_path / "export.json", tasks())
        case "label-studio-min":
            file = dump(tmp_path / "min.json", flat())
        case "jsonl":
            file = tmp_path / "labels.jsonl"
            file.write_text(lines(flat("label")))
        case "parquet":
            file = tmp_path / "labels.parquet"
            pq.write_table(pa.table({"n": [1, 2, 3], "file_name": [*LABELS], "label": [*LABELS.values()]}), file)
    return file, request.param


def test_every_format_is_told_by_its_content_and_says_the_same(written, pool):
    file, kind = written
    read = read_annotations(file, pool)
    assert read.labels == LABELS
    assert (read.format, read.source, read.problems, read.repeated) == (kind, file, (), 0)
    assert read.unannotated == ("rose/3.jpg", "tulip/2.jpg", "tulip/3.jpg")
    bare = file.rename(file.with_suffix(""))
    if kind != "parquet":
        assert read_annotations(bare, pool).labels == LABELS


def test_an_amended_file_is_of_the_same_format_and_the_original_stays(written, pool, tmp_path):
    file, kind = written
    before = file.read_bytes()
    read = read_annotations(file, pool)
    new = write_amended(read, [CHANGE], tmp_path / "deep" / "er" / f"amended{file.suffix}")
    assert file.read_bytes() == before
    again = read_annotations(new, pool)
    assert (again.labels, again.format, again.problems) == (CHANGED, kind, ())
    back = write_amended(again, [Change("rose/2.jpg", "tulip", "rosé", "no", 0.5)], tmp_path / f"back{file.suffix}")
    assert read_annotations(back, pool).labels == LABELS


def test_an_amendment_refuses_what_would_lose_something(written, pool, tmp_path):
    file, _ = written
    read = read_annotations(file, pool)
    before = file.read_bytes()
    (tmp_path / "there").write_text("mine")
    for path, changes, force, words in [
        (file, [CHANGE], True, "never touched"),
        (tmp_path / "there", [CHANGE], False, "--force"),
        (tmp_path, [CHANGE], True, "found the folder"),
        (tmp_path / "new", [Change("rose/2.jpg", "rose", "tulip", "", 1)], False, "annotated as 'rose'"),
        (tmp_path / "new", [Change("rose/9.jpg", "rose", "tulip", "", 1)], False, "found None"),
        (tmp_path / "new", [CHANGE, CHANGE], False, "got two"),
        (tmp_path / "new", [Change("rose/2.jpg", "rosé", " ", "", 1)], False, "expected a class"),
        (tmp_path / "new", [Change("rose/2.jpg", "rosé", "rose", "", 1.5)], False, "certainty in"),
        (tmp_path / "new", [Change("rose/2.jpg", "rosé", "rose", "", float("nan"))], False, "certainty in"),
    ]:
        with pytest.raises(BrainloopError, match=words):
            write_amended(read, changes, path, force=force)
    assert file.read_bytes() == before
    assert (tmp_path / "there").read_text() == "mine"
    assert not (tmp_path / "new").exists()
    assert write_amended(read, [CHANGE], tmp_path / "there", force=True).read_bytes() != b"mine"


def test_an_original_that_changed_in_between_is_noticed(written, pool, tmp_path):
    file, kind = written
    read = read_annotations(file, pool)
    if kind == "parquet":
        pq.write_table(pa.table({"file_name": ["rose/1.jpg"], "label": ["rose"]}), file)
    else:
        file.write_text(file.read_text().replace("ros\\u00e9", "other"))
    with pytest.raises(AnnotationError, match="no longer says what it said of"):
        write_amended(read, [CHANGE], tmp_path / "new")
    file.unlink()
    with pytest.raises(AnnotationError):
        write_amended(read, [CHANGE], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_coco_keeps_everything_but_the_category(pool, tmp_path):
    read = read_annotations(dump(tmp_path / "coco.json", coco()), pool)
    expected = coco()
    expected["annotations"][1] |= {"category_id": 20, **ADDED}
    assert json.loads(write_amended(read, [CHANGE], tmp_path / "new.json").read_text()) == expected
    lily = write_amended(read, [Change("rose/2.jpg", "rosé", "lily", "", 1)], tmp_path / "lily.json")
    content = json.loads(lily.read_text())
    assert content["categories"][-1] == {"id": 21, "name": "lily"}
    assert content["annotations"][1]["category_id"] == 21


def test_what_coco_contradicts_or_leaves_open_is_named(pool, tmp_path):
    content = coco()
    content["annotations"] += [
        {"image_id": 0, "category_id": 0},
        {"image_id": 1, "category_id": 20},
        {"image_id": 99, "category_id": 0},
        {"image_id": 2, "category_id": [1]},
        {"image_id": True, "category_id": 0},
        "nothing",
    ]
    content["images"] += [None, {"id": {}}, {"id": 98}]
    content["categories"] += [3, {"id": 97, "name": None}]
    read = read_annotations(dump(tmp_path / "coco.json", content), pool)
    assert read.labels == {"rose/1.jpg": "rose", "tulip/1.jpg": "tulip"}
    assert read.repeated == 1
    assert {problem.where: problem.reason for problem in read.problems} == {
        "coco.json, annotation 2": "rose/2.jpg is called 'rosé' (coco.json, annotation 2) and 'tulip' "
        "(coco.json, annotation 5): left without annotation",
        "coco.json, annotation 6": "expected the id of an image, found 99",
        "coco.json, annotation 7": "expected the id of a category, found [1]",
        "coco.json, annotation 8": "expected the id of an image, found True",
        "coco.json, annotation 9": "is no JSON object",
    }


def test_label_studio_gets_an_annotation_beside_that_it_accepts(pool, tmp_path):
    from label_studio_sdk.label_interface import LabelInterface

    read = read_annotations(dump(tmp_path / "export.json", tasks()), pool)
    new = json.loads(write_amended(read, [CHANGE], tmp_path / "new.json").read_text())
    added = new[1]["annotations"].pop()
    assert new == tasks()
    assert {key: added[key] for key in ADDED} == ADDED
    interface = LabelInterface(
        '<View><Image name="image" value="$image"/><Choices name="kind" toName="image">'
        '<Choice value="rose"/><Choice value="rosé"/><Choice value="tulip"/></Choices></View>'
    )
    assert interface.validate_annotation(added)


def test_what_annotators_of_label_studio_disagree_about_is_left_out(pool, tmp_path):
    given_ = tasks()
    given_[0]["annotations"] += [choice("rose"), choice("tulip", was_cancelled=True)]
    given_[1]["annotations"] += [choice("tulip")]
    given_[2]["annotations"] = [{"result": [{"type": "rectanglelabels", "value": {"rectanglelabels": ["rose"]}}]}, None]
    given_ += [{"data": {}}, "nothing", {"id": 5, "data": {"image": "rose/3.jpg"}}, {"data": {"image": 3}}]
    read = read_annotations(dump(tmp_path / "export.json", given_), pool)
    assert read.labels == {"rose/1.jpg": "rose"}
    assert {problem.where: problem.reason for problem in read.problems} == {
        "export.json, task 8": "rose/2.jpg is called 'rosé' (export.json, task 8) and 'tulip' (export.json, task 8): "
        "left without annotation",
        "export.json, task 9": "names no class",
        "export.json, task 4": "expected an image as data.image, found none",
        "export.json, task 5": "names no class",
        "export.json, task 7": "expected an image as data.image, found none",
    }


def test_one_of_several_controls_and_images_of_label_studio_may_be_named(pool, tmp_path):
    given_ = tasks()
    for task in given_:
        task["data"] = {"thumb": task["data"]["image"].replace("photographs", "small"), "mine": task["data"]["image"]}
        task["annotations"][0]["result"] += [{"type": "choices", "from_name": "light", "value": {"choices": ["dim"]}}]
    file = dump(tmp_path / "export.json", given_)
    assert read_annotations(file, pool, path_column="mine", label_column="kind").labels == LABELS
    with pytest.raises(AnnotationError, match="'thumb', 'mine'"):
        read_annotations(file, pool, path_column="theirs")
    with pytest.raises(AnnotationError, match="no annotation"):
        read_annotations(file, pool)


def test_several_choices_of_one_object_are_no_class(pool, tmp_path):
    records = flat()
    records[0]["choice"] = {"choices": ["rose", "tulip"]}
    records[1]["choice"] = {"choices": ["rosé"]}
    read = read_annotations(dump(tmp_path / "min.json", records), pool)
    assert read.labels == {"rose/2.jpg": "rosé", "tulip/1.jpg": "tulip"}
    new = json.loads(write_amended(read, [CHANGE], tmp_path / "new.json").read_text())
    assert new == [records[0], records[1] | {"choice": {"choices": ["tulip"]}} | ADDED, records[2]]


def test_broken_json_lines_are_named_and_kept(pool, tmp_path):
    text = '{"file_name": "rose/1.jpg", "label": 3}\r\n\r\n{"file_name": broken\r\n[1]\r\n' + "[" * 5000 + "\r\n"
    text += '{"file_name": "rose/2.jpg",   "label": 4}\r\n{"file_name": "rose/3.jpg"}'
    (tmp_path / "metadata.jsonl").write_bytes(text.encode())
    read = read_annotations(tmp_path / "metadata.jsonl", pool)
    assert read.labels == {"rose/1.jpg": "3", "rose/2.jpg": "4"}
    where = [problem.where for problem in read.problems]
    assert where == [f"metadata.jsonl, line {number}" for number in (3, 4, 5, 7)]
    change = Change("rose/1.jpg", "3", "4", "why", 0.5)
    new = write_amended(read, [change], tmp_path / "new.jsonl").read_bytes().decode()
    first, rest = new.split("\r\n", 1)
    assert json.loads(first) == {
        "file_name": "rose/1.jpg", "label": 4, "original_label": "3", "reason": "why", "certainty": 0.5,
    }  # fmt: skip
    assert rest == text.split("\r\n", 1)[1]


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "{", "[1, 2]", "{}", "[]", "null", '{"images": 1}', '{"a": ' + "9" * 5000 + "}", '[{"a": "b"}]'],
)
def test_json_of_which_nothing_can_be_made_says_what_was_expected(pool, tmp_path, content):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(AnnotationError, match=r"expected|no annotation|no column"):
        read_annotations(tmp_path / "labels.json", pool)


def test_json_that_is_too_large_is_refused_before_it_is_read(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(json_text, "LARGEST", 100)
    with pytest.raises(AnnotationError, match="save it as CSV or as JSON lines"):
        read_annotations(dump(tmp_path / "coco.json", coco()), pool)


def test_classes_of_parquet_that_are_numbers_have_the_names_that_datasets_gives_them(pool, tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value, load_dataset

    names = ["tulip", "rosé", "rose"]
    features = Features({"file_name": Value("string"), "label": ClassLabel(names=names)})
    data = {"file_name": [*LABELS], "label": [names.index(label) for label in LABELS.values()]}
    file = tmp_path / "labels.parquet"
    Dataset.from_dict(data, features).to_parquet(str(file))
    read = read_annotations(file, pool)
    assert read.labels == LABELS
    new = write_amended(read, [CHANGE], tmp_path / "new.parquet")
    table = load_dataset("parquet", data_files=str(new), cache_dir=str(tmp_path / "cache"), split="train")
    assert table.features["label"].names == names
    assert [table.features["label"].int2str(label) for label in table["label"]] == [*CHANGED.values()]
    assert table["original_label"][:] == [None, "rosé", None]
    assert table["certainty"][:] == [None, 0.9375, None]
    with pytest.raises(AnnotationError, match="no place for a new one"):
        write_amended(read, [Change("rose/2.jpg", "rosé", "lily", "", 1)], tmp_path / "lily.parquet")


def test_parquet_with_the_images_inside_is_read_by_their_paths(pool, tmp_path):
    images = [{"bytes": b"\xff" * 50, "path": path} for path in LABELS]
    pq.write_table(pa.table({"image": images, "label": [*LABELS.values()]}), tmp_path / "train.parquet")
    read = read_annotations(tmp_path / "train.parquet", pool)
    assert read.labels == LABELS
    new = write_amended(read, [CHANGE], tmp_path / "new.parquet")
    assert read_annotations(new, pool).labels == CHANGED
    assert pq.read_table(new)["image"].to_pylist() == images


SUFFIXES = ["", ".csv", ".json", ".jsonl", ".parquet"]
SEEDS = [
    json.dumps(coco()).encode(), json.dumps(tasks()).encode(), json.dumps(flat()).encode(),
    lines(flat("label")).encode(), b"path,label\nrose/1.jpg,rose\nrose/2.jpg,tulip\n",
]  # fmt: skip


def read_or_refuse(path, pool):
    try:
        read = read_annotations(path, pool)
    except AnnotationError:
        return
    assert set(read.labels) <= {image.path for image in pool.images}
    write_amended(read, [], path.with_name("amended"), force=True)


@settings(max_examples=300, deadline=None)
@given(
    content=st.binary(max_size=300), suffix=st.sampled_from(SUFFIXES), magic=st.sampled_from([b"", b"PAR1", b"{", b"["])
)
def test_no_bytes_raise_anything_but_an_annotation_error(paper, tmp_path_factory, content, suffix, magic):
    path = tmp_path_factory.mktemp("bytes") / f"labels{suffix}"
    path.write_bytes(magic + content)
    read_or_refuse(path, paper(path.parent, "rose/1.jpg", "rose/2.jpg"))


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 1 << 32), which=st.integers(0, len(SEEDS)), suffix=st.sampled_from(SUFFIXES))
def test_no_damage_to_a_file_raises_anything_but_an_annotation_error(paper, tmp_path_factory, seed, which, suffix):
    folder = tmp_path_factory.mktemp("damage")
    if which == len(SEEDS):
        pq.write_table(pa.table({"file_name": [*LABELS], "label": [*LABELS.values()]}), folder / "whole.parquet")
        content = bytearray((folder / "whole.parquet").read_bytes())
    else:
        content = bytearray(SEEDS[which])
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(content))
        match draw.randrange(3):
            case 0:
                content[at] = draw.randrange(256)
            case 1:
                del content[at : at + draw.randint(1, 10)]
            case 2:
                content[at:at] = content[draw.randrange(len(content)) :][:20]
    path = folder / f"labels{suffix}"
    path.write_bytes(content)
    read_or_refuse(path, paper(folder, *LABELS))


KEYS = st.sampled_from(
    ["images", "annotations", "categories", "id", "file_name", "name", "image_id", "category_id", "data", "image"]
) | st.sampled_from(["result", "type", "value", "choices", "label", "path", "original_label"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["rose/1.jpg", "rose"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(
    content=st.lists(JSON, max_size=4)
    | st.fixed_dictionaries(dict.fromkeys(["images", "annotations", "categories"], JSON))
)
def test_no_json_raises_anything_but_an_annotation_error(paper, tmp_path_factory, content):
    path = dump(tmp_path_factory.mktemp("json") / "labels.json", content)
    read_or_refuse(path, paper(path.parent, "rose/1.jpg"))
    path = path.with_name("labels.jsonl")
    path.write_text(lines(content))
    read_or_refuse(path, paper(path.parent, "rose/1.jpg"))
