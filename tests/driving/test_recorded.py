"""A recorded drive is the drive."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import Drive, Instant
from brainloop.driving.recorded import DriveFacts, read_drive, record
from brainloop.driving.road import Scene
from brainloop.driving.watcher import Heard
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.eeg.mental_state import MentalState
from brainloop.errors import RecordingError

FACTS = DriveFacts(3, 6.0, "careless", "a simulated person")


def drive():
    return Drive(3, SCRIPTED["careless"], SimulatedWatcher(), seconds=6)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drives") / "first"
    list(record(drive(), folder, FACTS))
    return folder


def test_a_replay_is_the_drive_to_the_last_bit(recorded):
    read = read_drive(recorded)
    assert read.facts == FACTS
    assert read.instants == tuple(drive())


numbers = st.floats(allow_nan=False)
states = st.builds(MentalState, numbers, st.none() | numbers, st.none() | numbers, st.none() | st.text(max_size=5))
instants = st.builds(
    Instant,
    numbers,
    st.builds(
        Scene, st.integers(0, 2**63), numbers, numbers, numbers, numbers,
        st.lists(st.tuples(numbers, numbers, numbers, st.booleans()), max_size=3).map(tuple),
        st.tuples(numbers, numbers, numbers), st.booleans(), st.booleans(),
    ),
    st.integers(0, 2),
    st.lists(st.builds(Heard, numbers, numbers, numbers, numbers), max_size=3).map(tuple),
    st.booleans(),
    st.none() | states,
    st.sampled_from([None, "collision", "time"]),
)  # fmt: skip


@given(st.lists(instants, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_instant_there_can_be_comes_back(tmp_path_factory, given_instants):
    folder = tmp_path_factory.mktemp("any")
    assert list(record(given_instants, folder, FACTS)) == given_instants
    assert list(read_drive(folder).instants) == given_instants


@given(cut=st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_cut_at_any_byte_all_that_was_whole_is_read(recorded, tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut")
    written = (recorded / "instants.jsonl").read_bytes()
    left = written[: round(cut * len(written))]
    (folder / "drive.json").write_bytes((recorded / "drive.json").read_bytes())
    (folder / "instants.jsonl").write_bytes(left)
    assert read_drive(folder).instants == tuple(drive())[: left.count(b"\n")]


def test_what_was_seen_is_on_disk_already(tmp_path):
    running = record(drive(), tmp_path, FACTS)
    for number in range(1, 5):
        seen = next(running)
        assert read_drive(tmp_path).instants[number - 1 :] == (seen,)


def test_numbers_of_numpy_are_written_as_numbers(tmp_path):
    one = replace(next(iter(drive())), heard=(Heard(*np.arange(4.0)),))
    list(record([one], tmp_path, FACTS))
    assert read_drive(tmp_path).instants == (one,)


def test_it_says_with_what_it_was_made_and_what_must_not_be_read_into_it(recorded):
    about = json.loads((recorded / "drive.json").read_text())
    assert set(about["versions"]) == {"brainloop", "numpy"}
    assert set(about["caveats"]) == {"attention", "valence"}


def test_nothing_is_recorded_over_a_recorded_drive(recorded):
    before = (recorded / "instants.jsonl").read_bytes()
    with pytest.raises(RecordingError, match="holds a recorded drive already; record into another folder"):
        record(drive(), recorded, FACTS)
    assert (recorded / "instants.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("drive.json", None, "expected a drive that brainloop recorded in .*drive.json"),
        ("instants.jsonl", None, "expected a drive that brainloop recorded in .*instants.jsonl"),
        ("drive.json", "{", "expected a drive"),
        ("drive.json", b"\xff\xfe\x00", "expected a drive"),
        ("drive.json", "[1]", "format 1; drive.json says None"),
        ("drive.json", '{"format": 2}', "format 1; drive.json says 2: read it with the brainloop that wrote it"),
        ("drive.json", '{"format": 1, "seed": "x"}', "drive.json lacks what it must say"),
        ("instants.jsonl", "{}\n", "line 1 of instants.jsonl is no instant"),
        ("instants.jsonl", "FIRST\n[]\n", "line 2 of instants.jsonl is no instant"),
        ("instants.jsonl", "FIRST\nnonsense\nFIRST\n", "line 2 of instants.jsonl is no instant"),
        ("instants.jsonl", b"\xff\n", "line 1 of instants.jsonl is no instant"),
    ],
)
def test_what_is_no_recorded_drive_is_refused(recorded, tmp_path, file, content, said):
    first = (recorded / "instants.jsonl").read_bytes().splitlines()[0]
    for name in ("drive.json", "instants.jsonl"):
        (tmp_path / name).write_bytes((recorded / name).read_bytes())
    if content is None:
        (tmp_path / file).unlink()
    else:
        given_bytes = content if isinstance(content, bytes) else content.encode()
        (tmp_path / file).write_bytes(given_bytes.replace(b"FIRST", first))
    with pytest.raises(RecordingError, match=said):
        read_drive(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"ended": "crash"}, {"state": 3}, {"state": {"mood": 1}}, {"heard": [[1, 2]]}, {"time": None}, {"scene": {}}],
)
def test_a_line_that_says_something_else_is_no_instant(recorded, tmp_path, change):
    (tmp_path / "drive.json").write_bytes((recorded / "drive.json").read_bytes())
    one = json.loads((recorded / "instants.jsonl").read_bytes().splitlines()[0])
    (tmp_path / "instants.jsonl").write_text(json.dumps(one | change) + "\n")
    with pytest.raises(RecordingError, match=r"line 1 of instants\.jsonl is no instant"):
        read_drive(tmp_path)
