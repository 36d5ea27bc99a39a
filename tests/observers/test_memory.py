import numpy as np

from brainloop.eeg.erp import ERP
from brainloop.observers.memory import forget, mean_responses, observer_facts, remember
from brainloop.study import Study

MEAN = ERP(np.ones((2, 1, 3)), np.ones((2, 1, 3)), (4, 5), np.arange(3.0), ("Pz",))


def test_what_a_study_remembers_of_a_person_can_be_forgotten(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live")
    facts = {"observer": "live", "recordings": [{"name": "ada/1", "person": "ada"}, {"name": "bob/1", "person": "bob"}]}
    remember(study, facts, {"ada/1": MEAN, "bob/1": MEAN, "adam/1": MEAN})
    assert forget(study, "ada") == 2
    assert set(mean_responses(study)) == {"bob/1", "adam/1"}
    assert observer_facts(study)["recordings"] == facts["recordings"][1:]
    assert forget(study, "ada") == 0


def test_of_several_stations_the_recordings_of_all_are_kept(tmp_path, photographs, new_database):
    study = Study.create(tmp_path / "left", images=photographs, target="rose", observer="own", store=new_database())
    for station in ("left", "right"):
        with study.running(station):
            pass
        remember(study, {"observer": station, "recordings": [{"name": station, "person": station}]}, {}, station)
    assert [one["name"] for one in observer_facts(study)["recordings"]] == ["left", "right"]
    assert forget(study, "right") == 1
    assert [one["name"] for one in observer_facts(study)["recordings"]] == ["left"]
