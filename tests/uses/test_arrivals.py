"""Files that come into a watched folder."""

from brainloop.uses.arrivals import Arrivals


def test_a_file_is_told_once_and_only_when_it_has_stopped_growing(tmp_path):
    arrivals = Arrivals(tmp_path)
    file = tmp_path / "deep" / "one.jpg"
    file.parent.mkdir()
    file.write_bytes(b"1")
    assert arrivals.look() == frozenset()
    file.write_bytes(b"12")
    assert arrivals.look() == frozenset()  # it grew
    assert arrivals.look() == {"deep/one.jpg"}
    assert arrivals.look() == frozenset()


def test_a_file_that_was_mended_comes_again(tmp_path):
    arrivals, file = Arrivals(tmp_path), tmp_path / "one.jpg"
    file.write_bytes(b"half")
    arrivals.look()
    assert arrivals.look() == {"one.jpg"}
    file.write_bytes(b"the whole of it")
    assert arrivals.look() == frozenset()
    assert arrivals.look() == {"one.jpg"}


def test_a_folder_that_is_not_there_is_empty_until_it_comes_back(tmp_path):
    arrivals = Arrivals(tmp_path / "unmounted")
    assert arrivals.look() == frozenset()
    (tmp_path / "unmounted").mkdir()
    (tmp_path / "unmounted" / "one.jpg").write_bytes(b"1")
    assert arrivals.look() == frozenset()
    assert arrivals.look() == {"one.jpg"}


def test_a_file_that_is_taken_away_meanwhile_is_forgotten(tmp_path):
    arrivals, file = Arrivals(tmp_path), tmp_path / "one.jpg"
    file.write_bytes(b"1")
    arrivals.look()
    file.unlink()
    assert arrivals.look() == frozenset()
