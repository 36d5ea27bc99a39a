import json
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from brainloop.errors import ImageError
from brainloop.images.pool import Image, Pool, list_files, scan


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    PillowImage.fromarray(pixels).save(path)
    return path


def reasons(pool: Pool) -> dict[str, str]:
    return {item.path: item.reason for item in pool.skipped}


def test_a_pool_holds_every_image_below_its_folder_in_the_order_of_paths(tmp_path: Path) -> None:
    for seed, name in enumerate(["dog/b.jpg", "cat/deep/er/c.png", "a.gif", "cat/d.webp", "e.BMP", "cat/f.tiff"]):
        picture(tmp_path / name, seed)
    pool = scan(tmp_path)
    assert [image.path for image in pool.images] == [
        "a.gif", "cat/d.webp", "cat/deep/er/c.png", "cat/f.tiff", "dog/b.jpg", "e.BMP",
    ]  # fmt: skip
    assert [image.label for image in pool.images] == [None, "cat", "cat", "cat", "dog", None]
    assert pool.classes == {"cat": 3, "dog": 1}
    assert len(pool) == 6
    assert pool.skipped == ()


def test_the_identity_of_an_image_is_its_content(tmp_path: Path) -> None:
    path = picture(tmp_path / "one" / "a.png")
    before = scan(tmp_path).images[0]
    assert before.hash == blake2b(path.read_bytes(), digest_size=16).hexdigest()
    path.rename(tmp_path / "elsewhere.png")
    assert scan(tmp_path).images == (Image(before.hash, "elsewhere.png", None),)


def test_a_duplicate_counts_once(tmp_path: Path) -> None:
    first = picture(tmp_path / "cat" / "a.png")
    for copy in ("cat/b.png", "dog/a.png"):
        (tmp_path / copy).parent.mkdir(exist_ok=True)
        shutil.copy(first, tmp_path / copy)
    pool = scan(tmp_path)
    assert [image.path for image in pool.images] == ["cat/a.png"]
    assert reasons(pool) == {
        "cat/b.png": "duplicate of cat/a.png",
        "dog/a.png": "duplicate of cat/a.png, which lies in another class",
    }


def test_zero_bytes_are_skipped_with_their_reason(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "empty.jpg").touch()
    pool = scan(tmp_path)
    assert len(pool) == 1
    assert reasons(pool) == {"empty.jpg": "zero bytes"}


def test_what_is_no_image_is_skipped_with_its_reason_whatever_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    for name in ("text.jpg", "labels.csv", "Makefile"):
        (tmp_path / name).write_text("I am text")
    assert set(reasons(scan(tmp_path))) == {"text.jpg", "labels.csv", "Makefile"}
    assert all(reason.startswith("not an image") for reason in reasons(scan(tmp_path)).values())


def test_an_image_is_told_by_its_content_whatever_suffix_it_has(tmp_path: Path) -> None:
    picture(tmp_path / "really_a_png.png").rename(tmp_path / "really_a_png.jpg")
    picture(tmp_path / "nameless.png", 2).rename(tmp_path / "nameless")
    assert len(scan(tmp_path)) == 2


def test_a_format_that_is_not_supported_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "phone.HEIC").write_bytes(b"....ftypheic")
    (tmp_path / "camera.NEF").write_bytes(b"II*\x00 a TIFF inside")
    listed = reasons(scan(tmp_path))
    assert listed["phone.HEIC"] == "not an image: expected a JPEG, PNG, WebP, BMP, TIFF or GIF file"
    assert "camera raw" in listed["camera.NEF"]


def test_absurd_dimensions_are_skipped_from_the_header_alone(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    bomb = bytearray(picture(tmp_path / "bomb.bmp", 1).read_bytes())
    bomb[18:26] = (50_000).to_bytes(4, "little") * 2
    (tmp_path / "bomb.bmp").write_bytes(bomb)
    assert reasons(scan(tmp_path)) == {"bomb.bmp": "declares 50000 x 50000 pixels, limit is 100,000,000 in all"}


def test_hidden_files_are_passed_over_in_silence(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    for name in (".DS_Store", "._good.png"):
        (tmp_path / name).write_text("what a Mac leaves on a stick")
    assert scan(tmp_path).skipped == ()


def test_a_hidden_folder_is_listed_and_not_walked(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    picture(tmp_path / ".thumbnails" / "small.png", 1)
    pool = scan(tmp_path)
    assert len(pool) == 1
    assert reasons(pool) == {".thumbnails": "a hidden folder"}


def test_a_linked_folder_is_walked(tmp_path: Path) -> None:
    picture(tmp_path / "outside" / "a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "cat").symlink_to(tmp_path / "outside")
    assert [(image.path, image.label) for image in scan(tmp_path / "root").images] == [("cat/a.png", "cat")]


def test_a_link_loop_is_listed_and_ends(tmp_path: Path) -> None:
    root = tmp_path / "root"
    picture(root / "cat" / "a.png")
    (root / "cat" / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "self").symlink_to("self")
    (root / "ring.png").symlink_to("gnir.png")
    (root / "gnir.png").symlink_to("ring.png")
    pool = scan(root)
    assert [image.path for image in pool.images] == ["cat/a.png"]
    assert reasons(pool) == {
        "cat/loop": "a link loop: it leads to a folder that holds it",
        "gnir.png": "a broken link: it leads to ring.png, too many levels of symbolic links",
        "ring.png": "a broken link: it leads to gnir.png, too many levels of symbolic links",
        "self": "a broken link: it leads to self, too many levels of symbolic links",
        "up": "a link loop: it leads to a folder that holds it",
    }


def test_two_folders_that_link_to_each_other_are_walked_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    picture(root / "a" / "a.png", 1)
    picture(tmp_path / "outside" / "b.png", 2)
    (root / "a" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "back").symlink_to(root / "a")
    pool = scan(root)
    assert [image.path for image in pool.images] == ["a/a.png", "a/out/b.png"]
    assert reasons(pool) == {"a/out/back": "a link loop: it leads to a folder that holds it"}


def test_a_link_never_takes_the_place_of_the_folder_it_leads_to(tmp_path: Path) -> None:
    picture(tmp_path / "zebra" / "a.png")
    (tmp_path / "alias").symlink_to(tmp_path / "zebra")
    pool = scan(tmp_path)
    assert [image.label for image in pool.images] == ["zebra"]
    assert reasons(pool) == {"alias": "the same folder as zebra, which is scanned already"}


def test_a_broken_link_is_listed(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    assert reasons(scan(tmp_path)) == {"gone.png": "a broken link: it leads to nowhere.png, which is not there"}


def test_a_pipe_is_listed_and_nobody_waits_for_it(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert reasons(scan(tmp_path)) == {"pipe.png": "unreadable: a folder, pipe or device, not a file"}


def test_unreadable_files_and_folders_are_listed() -> None:
    # Root may read everything, so the reader gives up its rights first.
    script = """
import json, os, sys
from pathlib import Path
from brainloop.images.pool import scan
if os.geteuid() == 0:
    os.seteuid(65534)
pool = scan(Path(sys.argv[1]))
sys.stdout.write(json.dumps([[i.path for i in pool.images], [[s.path, s.reason] for s in pool.skipped]]))
"""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        picture(root / "good.png")
        picture(root / "locked.png", 1).chmod(0)
        picture(root / "locked" / "inside.png", 2)
        (root / "locked").chmod(0)
        try:
            command = [sys.executable, "-c", script, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        finally:
            (root / "locked").chmod(0o755)
    images, skipped = json.loads(done.stdout)
    assert images == ["good.png"]
    assert skipped == [
        ["locked", "unreadable: permission denied"],
        ["locked.png", "unreadable: permission denied"],
    ]


def test_a_name_that_is_not_utf8_is_skipped_and_can_be_stored(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    raw = os.fsencode(tmp_path)
    shutil.copy(tmp_path / "good.png", raw + b"/caf\xe9.png")
    Path(os.fsdecode(raw + b"/\xff")).mkdir()
    pool = scan(tmp_path)
    assert len(pool) == 1
    assert reasons(pool) == {
        "\\udcff": "its name is not valid UTF-8: rename it",
        "caf\\udce9.png": "its name is not valid UTF-8: rename it",
    }
    json.dumps(reasons(pool)).encode()


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"expected a folder of images, found nothing at .*: give"):
        scan(tmp_path / "nowhere")
    with pytest.raises(ImageError, match=r"found a file"):
        scan(picture(tmp_path / "a.png"))


def test_a_folder_without_images_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no image in .*: expected JPEG"):
        scan(tmp_path)


def test_a_folder_without_a_usable_image_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"no usable image in .*: 1 skipped \(empty.jpg: zero bytes\)"):
        scan(tmp_path)


def test_progress_reaches_its_total(photographs: Path) -> None:
    (photographs / "empty.png").touch()
    calls: list[tuple[int, int]] = []
    scan(photographs, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 41) for done in range(1, 42)]


def test_a_very_deep_tree_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(1200):  # beyond Python's limit of recursion
        deep /= "d"
        deep.mkdir()
    picture(deep / "a.png")
    assert len(scan(tmp_path)) == 1
    # The standard library's own rmtree, with which pytest tidies up, recurses.
    (deep / "a.png").unlink()
    while deep != tmp_path:
        deep.rmdir()
        deep = deep.parent


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "a/c"]), st.integers(0, 5), st.integers(0, 3)),
        min_size=1,
        max_size=12,
        unique_by=lambda item: item[:2],
    )
)
def test_every_file_is_either_an_image_or_skipped_and_every_content_counts_once(
    files: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for place, number, seed in files:
            picture(Path(folder, place, f"{number}.png"), seed)
        pool = scan(Path(folder))
    assert len(pool.images) + len(pool.skipped) == len(files)
    assert len(set(pool.hashes)) == len(pool) == len({seed for _, _, seed in files})


def test_only_the_named_files_are_read_and_none_of_them_need_be_an_image(tmp_path):
    for seed, name in enumerate(("one", "two")):
        picture(tmp_path / f"{name}.png", seed)
    (tmp_path / "words.txt").write_text("no image")
    assert list_files(tmp_path) == ["one.png", "two.png", "words.txt"]
    some = scan(tmp_path, only={"two.png", "words.txt", "gone.png"})
    assert [image.path for image in some.images] == ["two.png"]
    assert [skipped.path for skipped in some.skipped] == ["words.txt"]
    assert len(scan(tmp_path, only=())) == 0
