"""Several stations on one study: threads that run the loop, each in a folder of its own, on one PostgreSQL."""

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainloop.errors import StudyError
from brainloop.evidence import add_up
from brainloop.loop import run
from brainloop.observers.memory import observer_facts
from brainloop.people import erase_person
from brainloop.presentation.block import Response
from brainloop.settings import Settings
from brainloop.station import default_station
from brainloop.study import Study


class Looker:
    """A person who knows the truth and says so with Gaussian noise; of another name at each station."""

    soa = 0.2

    def __init__(self, name, truth, before=lambda: None):
        self.name, self.truth, self.before = name, truth, before
        self.facts = {"observer": "looker", "recordings": [{"name": name, "person": name}]}
        self.shown = []

    def respond(self, block, start=0):
        self.shown.append((block, start))
        noise = np.random.default_rng([block.number, len(self.name)]).normal(size=len(block.images))
        score = noise + 2 * self.truth[list(block.images)]
        for k in range(start, len(block.images)):
            self.before()
            source = f"{self.name}#{block.number}.{k}"
            yield Response(float(score[k]), float(2 * score[k] - 2), None, 0.2 * k, source, self.name, "s")

    def recall(self, blocks):
        self.recalled = blocks

    def erps(self):
        return {}


@pytest.fixture
def shared(tmp_path, photographs, new_database):
    """A study that stations share, in the folder of its first station."""
    return Study.create(
        tmp_path / "left", images=photographs, target="rose", observer="own", looks_per_round=24, block_size=12,
        max_looks=240, confidence_threshold=1.0, store=new_database(),
    )  # fmt: skip


def joined(study, name):
    return Study.join(study.folder.parent / name, study.settings.store)


def at_once(studies, lookers):
    """Run all stations at once; give the rounds that each has told."""
    told, failures = {}, []

    def work(name, study):
        try:
            told[name] = list(run(study, lookers[name], station=name))
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=work, args=each) for each in studies.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    return told


def test_stations_share_the_looks_and_all_learn_from_all(shared):
    studies = {"left": shared, "right": joined(shared, "right"), "third": joined(shared, "third")}
    lookers = {name: Looker(name, study.data().truth["rose"]) for name, study in studies.items()}
    told = at_once(studies, lookers)
    looks, rounds = shared.store.looks(), shared.store.rounds()
    assert looks.image.size == sum(len(block.images) for one in lookers.values() for block, _ in one.shown)
    assert looks.image.size == 240
    assert set(looks.station) == set(studies)
    assert looks.person == looks.station
    for each in told.values():  # one may have come after the first round, and left before the last
        assert each == rounds[each[0].number - 1 : each[-1].number]
    assert [one.number for one in rounds] == list(range(1, len(rounds) + 1))
    assert rounds[-1].looks == looks.image.size
    heads = [study.head().weight for study in studies.values()]
    for head in heads[1:]:
        np.testing.assert_array_equal(head, heads[0])
    assert rounds[-1].auc > 0.9
    assert {one["name"] for one in observer_facts(shared)["recordings"]} == set(studies)


def test_nobody_is_shown_what_another_is_looking_at(shared):
    studies = {"left": shared, "right": joined(shared, "right")}
    on_screen, doubled, lock = {}, [], threading.Lock()

    class Watched(Looker):
        def respond(self, block, start=0):
            ids = set(studies[self.name].data().ids[list(block.images)].tolist())
            with lock:
                doubled.extend(ids & other for name, other in on_screen.items() if name != self.name and ids & other)
                on_screen[self.name] = ids
            yield from super().respond(block, start)
            with lock:
                on_screen[self.name] = set()

    at_once(studies, {name: Watched(name, study.data().truth["rose"]) for name, study in studies.items()})
    assert doubled == []


def test_a_round_learned_from_the_looks_up_to_it_and_from_nothing_else(shared):
    studies = {"left": shared, "right": joined(shared, "right")}
    at_once(studies, {name: Looker("one", study.data().truth["rose"]) for name, study in studies.items()})
    data, looks = shared.data(), shared.store.looks()
    for number in (1, 3, len(shared.store.rounds())):
        heard = looks.round <= number
        image = data.index(looks.image[heard])
        evidence = add_up(image, looks.evidence[heard], data.ids.size)
        from brainloop.classifier.system import SYSTEMS

        seen = np.unique(image)
        expected = SYSTEMS["brainloop"].learn(shared.features(data)[0][seen], evidence[seen])
        np.testing.assert_array_equal(shared.head(number).weight, expected.weight)


def test_a_second_process_of_a_station_is_refused_by_name(shared):
    other = joined(shared, "other")
    with shared.running("left"), pytest.raises(StudyError, match="left"), other.running("left"):
        pass
    with other.running("left"):
        pass


def test_a_study_on_a_file_is_for_one_station(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs, target="rose", observer="own")
    with pytest.raises(StudyError, match=r"for one; leave out the station 'left'.*postgresql"), study.running("left"):
        pass
    assert default_station(study.store) == "local"


def test_a_station_is_called_as_its_host_by_default(shared):
    assert default_station(shared.store)
    assert set(default_station(shared.store)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def test_a_database_with_a_study_is_joined_and_not_made_again(shared, tmp_path):
    with pytest.raises(StudyError, match="brainloop join"):
        Study.create(tmp_path / "again", shared.settings)
    assert joined(shared, "again2").store.images() == shared.store.images()


def test_an_empty_database_cannot_be_joined(tmp_path, new_database):
    with pytest.raises(StudyError, match="no study"):
        Study.join(tmp_path / "x", new_database())
    assert not (tmp_path / "x").exists()


def test_joining_asks_where_the_images_are_on_this_machine(shared, tmp_path, photographs):
    shared.store.note("settings", shared.store.fact("settings") | {"images": str(tmp_path / "elsewhere")})
    with pytest.raises(StudyError, match="--images"):
        joined(shared, "right")
    study = Study.join(tmp_path / "right", shared.settings.store, images=photographs)
    assert study.settings.images == str(photographs)
    assert Study.open(study.folder).settings == study.settings


def test_a_setting_that_is_not_of_this_machine_may_not_differ(shared):
    right = joined(shared, "right")
    replace(right.settings, seed=9).save(right.folder / "study.toml")
    with pytest.raises(StudyError, match="seed cannot change"):
        Study.open(right.folder)


def test_a_person_is_erased_for_all_stations_and_never_under_somebody_at_work(shared):
    studies = {"left": shared, "right": joined(shared, "right")}
    lookers = {name: Looker(name, study.data().truth["rose"]) for name, study in studies.items()}
    at_once(studies, lookers)
    before = {name: study.head(2).weight for name, study in studies.items()}
    (studies["right"].folder / "reports").mkdir()
    with studies["right"].running("right"), pytest.raises(StudyError, match=r"at work.*right"):
        erase_person(shared, "left")
    assert "left" in shared.store.looks().person
    erase_person(shared, "left")
    assert set(shared.store.looks().person) == {"right"}
    assert "left" not in str(observer_facts(shared))
    right = Study.open(studies["right"].folder)
    assert not (right.folder / "reports").exists()
    assert not np.array_equal(right.head(2).weight, before["right"])
    np.testing.assert_array_equal(right.head(2).weight, shared.head(2).weight)


STATION = """
import sys
from brainloop.study import Study
from brainloop.loop import run
from brainloop.observers.memory import observer_facts
sys.path.insert(0, {tests!r})
from test_station import Looker
study = Study.open({folder!r})
import time
def before():
    print("look", flush=True)
    time.sleep(0.05)
list(run(study, Looker("dead", study.data().truth["rose"], before), station="dead"))
"""


def test_a_station_that_is_killed_goes_on_where_it_was(shared):
    dead = joined(shared, "dead")
    dead.data()
    code = STATION.format(folder=str(dead.folder), tests=str(Path(__file__).parent))

    def started():
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    process = started()
    for _ in range(18):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    (unfinished, answered), *_ = shared.store.blocks_of("dead")
    stored = shared.store.looks().image.size
    assert 15 <= stored <= 18
    looker = Looker("dead", shared.data().truth["rose"])
    again = Study.open(dead.folder)
    for _ in run(again, looker, station="dead"):
        break
    assert (looker.shown[0][0].number, looker.shown[0][1]) == (unfinished.number, answered)
    blocks = [block for block, _ in shared.store.blocks() if block.number == unfinished.number]
    assert len(blocks) == 1


def test_a_station_alone_comes_to_the_same_on_a_file_and_on_a_server(shared, tmp_path):
    alone = Study.create(tmp_path / "file", replace(shared.settings, store=None))
    truth = shared.data().truth["rose"]
    there = list(run(shared, Looker("me", truth), station="left"))
    here = list(run(alone, Looker("me", truth)))
    assert [replace(one, machine_s=0) for one in there] == [replace(one, machine_s=0) for one in here]
    np.testing.assert_array_equal(shared.head().weight, alone.head().weight)


def test_settings_of_a_shared_study_hold_no_password(tmp_path, photographs):
    with pytest.raises(Exception, match=r"password"):
        Study.create(
            tmp_path / "s", Settings(images=str(photographs), target="rose", store="postgresql://me:secret@localhost/x")
        )
    assert not (tmp_path / "s" / "study.toml").exists()


def test_the_clock_of_a_station_does_not_matter(shared, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    list(run(shared, Looker("me", shared.data().truth["rose"]), station="left"))
    (left,) = shared.store.stations()
    assert left.clock_offset < -1e8
    assert shared.store.looks().image.size == 240
