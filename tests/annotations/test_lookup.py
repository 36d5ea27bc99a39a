import unicodedata

import pytest

from brainloop.annotations.lookup import Likeness, Lookup, Match

NAME, END, PATH = Likeness


@pytest.mark.parametrize(
    ("name", "likeness"),
    [
        ("rose/1.jpg", PATH),
        ("./rose/1.jpg", PATH),
        ("tulip/../rose/1.jpg", PATH),
        ("rose\\1.jpg", PATH),
        ("../photographs/rose/1.jpg", PATH),
        ("photographs/rose/1.jpg", END),
        ("/home/somebody/photographs/rose/1.jpg", END),
        ("C:\\photographs\\rose\\1.jpg", END),
        ("rose/1", END),
        ("s3://bucket/all/rose/1.jpg", END),
        ("https://somewhere/rose/1.jpg?size=large#top", END),
        ("/data/local-files/?d=rose/1.jpg", PATH),
        ("/data/local-files/?d=photographs/rose%2F1.jpg", END),
        ("lily/rose/1", END),
        ("file:///elsewhere/rose/1.jpg", END),
    ],
)
def test_an_image_is_found_by_every_name_that_files_give_it(pool, name, likeness):
    assert Lookup(pool, pool.root / "labels").find(name) == Match("rose/1.jpg", likeness)


def test_an_image_is_found_by_its_absolute_path_and_from_beside_the_file(pool, tmp_path):
    lookup = Lookup(pool, tmp_path / "labels")
    assert lookup.find(str(pool.root / "rose/1.jpg")) == Match("rose/1.jpg", PATH)
    assert lookup.find("../photographs/rose/1.jpg") == Match("rose/1.jpg", PATH)


def test_a_root_that_is_reached_through_a_link_is_known_by_both_paths(paper, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    lookup = Lookup(paper(tmp_path / "link", "a.jpg"), tmp_path)
    assert lookup.find(f"{tmp_path}/real/a.jpg") == lookup.find(f"{tmp_path}/link/a.jpg") == Match("a.jpg", PATH)


def test_a_name_that_several_images_end_as_is_none_of_them(pool):
    lookup = Lookup(pool, pool.root)
    assert lookup.find("1.jpg") == "may be rose/1.jpg or tulip/1.jpg"
    assert lookup.find("4.jpg") == "is not among the images"


def test_the_longest_end_counts(paper, tmp_path):
    lookup = Lookup(paper(tmp_path, "a/rose/1.jpg", "b/tulip/1.jpg", "1.jpg"), tmp_path)
    assert lookup.find("/elsewhere/tulip/1.jpg") == Match("b/tulip/1.jpg", NAME)
    assert lookup.find("1.jpg") == Match("1.jpg", PATH)


def test_uploads_of_label_studio_are_found_by_the_names_they_had(paper, tmp_path):
    lookup = Lookup(paper(tmp_path, "rose/my rose (2).jpg", "tulip/8.jpg"), tmp_path)
    assert lookup.find("/data/upload/3/0a1b2c3d-my_rose_2.jpg") == Match("rose/my rose (2).jpg", NAME)
    assert lookup.find("/data/upload/3/0a1b2c3d-8.jpg") == Match("tulip/8.jpg", NAME)


def test_a_copy_stands_for_the_image_it_repeats_and_a_broken_file_says_why(paper, tmp_path):
    lookup = Lookup(paper(tmp_path, "a.jpg", copies={"b/again.jpg": "a.jpg"}, broken=("c.jpg",)), tmp_path)
    assert lookup.find("b/again.jpg") == Match("a.jpg", PATH)
    assert lookup.find("c.jpg") == "was skipped among the images (is truncated)"


def test_letters_and_accents_may_be_stored_apart(paper, tmp_path):
    lookup = Lookup(paper(tmp_path, unicodedata.normalize("NFD", "rosé.jpg")), tmp_path)
    assert lookup.find(unicodedata.normalize("NFC", "rosé.jpg")) == Match(unicodedata.normalize("NFD", "rosé.jpg"), END)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "//", "..", ".", "", "http://[", "%", "?d=", "a\0b"]
)
def test_no_name_leads_out_of_the_pool(pool, name):
    assert isinstance(Lookup(pool, pool.root).find(name), str)


def test_names_with_the_signs_of_addresses_are_names_first(paper, tmp_path):
    lookup = Lookup(paper(tmp_path, "100%.jpg", "what?.jpg", "a%20b.jpg", "a b.jpg"), tmp_path)
    for name in ("100%.jpg", "what?.jpg", "a%20b.jpg", "a b.jpg"):
        assert lookup.find(name) == Match(name, PATH)
