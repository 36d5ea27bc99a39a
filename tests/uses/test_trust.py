"""Trust in a study's people, from looks written straight into its store."""

from dataclasses import replace

import numpy as np
import pytest

from brainloop.evidence import add_up
from brainloop.presentation.block import Block, Response
from brainloop.study import Study
from brainloop.uses.audit import Audit
from brainloop.uses.heard import total_evidence
from brainloop.uses.training import Training
from brainloop.uses.trust import table, telling, trust

D_PRIME = 1.2


@pytest.fixture
def study(tmp_path, photographs):
    return Study.create(tmp_path / "study", images=photographs, target="rose", observer="own")


def look(study, person, rows, *, awake=True, seed=0, gain=1.0, target="rose"):
    """Let somebody look at rows of the pool in blocks of 20; their evidence is what binormal scores deserve."""
    data = study.data()
    rng = np.random.default_rng([seed, len(person), sum(person.encode())])
    truth = data.truth[target][rows]
    scores = rng.normal(size=len(rows)) + D_PRIME * (truth if awake else rng.permutation(truth))
    for start in range(0, len(rows), 20):
        part = slice(start, start + 20)
        study.store.plan([Block(1, 1, tuple(data.ids[rows[part]].tolist()), 0.2, target)], person)
        (planned, _) = study.store.blocks_of(person)[0]
        for position, score in enumerate(scores[part].tolist()):
            evidence = gain * (D_PRIME * score - D_PRIME**2 / 2)
            said = Response(score, evidence, None, 0.2, f"{person}#{start + position}", person, "today")
            study.store.answer(planned.number, position, said, person)


def everybody(study, names, **asleep):
    rows = np.arange(len(study.data().ids))
    for name in names:
        look(study, name, np.random.default_rng(sum(name.encode())).permutation(rows), awake=name not in asleep)


def test_one_person_keeps_their_evidence_to_the_last_bit(study):
    everybody(study, ["ada"])
    data, looks = study.data(), study.store.looks()
    evidence, seen = total_evidence(study, data)
    np.testing.assert_array_equal(evidence, add_up(data.index(looks.image), looks.evidence, data.ids.size))
    assert seen.size == data.ids.size
    (ada,) = trust(study, data).people
    assert (ada.weight, ada.offset, ada.looks) == (1, 0, looks.image.size)
    assert telling(study, data, "ada") is None


def test_whoever_does_not_look_weighs_less_and_the_sum_is_of_what_each_counts(study):
    everybody(study, ["ada", "ben", "cleo", "dora"], dora=True)
    data, looks = study.data(), study.store.looks()
    found = trust(study, data)
    weights = {one.person: one.weight for one in found.people}
    assert list(weights) == ["ada", "ben", "cleo", "dora"]
    assert weights["dora"] < 0.6 * min(weights[name] for name in ("ada", "ben", "cleo"))
    evidence, _ = total_evidence(study, data)
    np.testing.assert_allclose(evidence, add_up(data.index(looks.image), found.evidence, data.ids.size))
    told = {name: telling(study, data, name).max() for name in weights}
    assert told["dora"] < min(told[name] for name in ("ada", "ben", "cleo"))
    assert {row[0] for row in table(found)} == set(weights)


def test_what_a_round_heard_does_not_change_with_later_looks(study):
    rows = np.arange(len(study.data().ids))
    for name in ("ada", "ben"):
        look(study, name, rows)
    study.store.begin_round()
    before, _ = total_evidence(study, study.data(), 1)
    for name in ("ada", "cleo"):
        look(study, name, rows, awake=False, seed=1)
    again, _ = total_evidence(study, study.data(), 1)
    np.testing.assert_array_equal(again, before)
    now, _ = total_evidence(study, study.data())
    assert not np.array_equal(now, before)


def test_rejected_looks_count_for_nothing_and_corrections_stand(study):
    everybody(study, ["ada", "ben"])
    data = study.data()
    before = trust(study, data)
    look(study, "ada", np.array([0]))
    study.store.plan([Block(1, 1, (int(data.ids[1]),), 0.2, "rose")], "ben")
    (planned, _) = study.store.blocks_of("ben")[0]
    study.store.answer(planned.number, 0, Response(np.nan, 0.0, "gap", 0.0, "ben#x", "ben", "today"), "ben")
    after = trust(study, data)
    assert after.people[1].looks == before.people[1].looks
    assert after.people[0].looks == before.people[0].looks + 1
    study.store.correct(int(data.ids[5]), "rose", True, "ada")
    evidence, _ = total_evidence(study, data)
    assert evidence[5] == pytest.approx(np.log(99))


def test_an_image_that_somebody_has_seen_tells_them_less_than_one_they_have_not(study):
    rows = np.arange(len(study.data().ids))
    look(study, "ada", rows[:60])
    look(study, "ben", rows)
    told = telling(study, study.data(), "ada")
    assert told[:60].max() < told[60:].min()
    np.testing.assert_allclose(told[:60] / told[60], 2 / 1.2 - 1)


def test_a_stretch_is_of_one_session_and_of_a_hundred_looks_at_most(study):
    data = study.data()
    look(study, "ada", np.arange(len(data.ids)))
    look(study, "ben", np.arange(len(data.ids)))
    ada, ben = trust(study, data).people
    assert [one.looks for one in ada.stretches] == [100, len(data.ids) - 100]
    assert ada.stretches[0].end <= ada.stretches[1].begin
    assert sum(one.looks for one in ben.stretches) == ben.looks


def test_the_same_looks_make_the_same_trust_in_another_study(study, tmp_path):
    everybody(study, ["ada", "ben"])
    other = Study.create(tmp_path / "other", replace(study.settings, seed=0))
    everybody(other, ["ada", "ben"])
    np.testing.assert_array_equal(trust(study, study.data()).evidence, trust(other, other.data()).evidence)


def test_a_turn_leaves_out_what_is_pending_and_is_empty_when_all_is(study):
    everybody(study, ["ada", "ben"])
    study.store.begin_round()
    use, n = Training(study, study.data()), study.data().ids.size
    belief = use.believe(1)
    blocks = use.plan(belief, 2, 20, 0.2, person="ada", pending=np.arange(40))
    shown = [image for block in blocks for image in block.images]
    assert len(set(shown)) == 20
    assert min(shown) >= 40  # fillers too
    assert use.plan(belief, 2, 20, 0.2, person="ada", pending=np.arange(n)) == []


def test_of_several_classes_a_person_is_one_whatever_they_look_for(tmp_path, photographs):
    study = Study.create(
        tmp_path / "two", images=photographs, classes=("rose", "sky"), observer="own", confidence_threshold=1.0
    )
    data = study.data()
    rows = np.arange(data.ids.size)
    for person in ("ada", "ben", "dora"):
        for target in ("rose", "sky"):
            look(study, person, rows, awake=person != "dora", target=target, gain=1.0)
    evidence, _ = total_evidence(study, data)
    assert evidence.shape == (rows.size, 2)
    weights = {one.person: one.weight for one in trust(study, data).people}
    assert weights["dora"] < 0.7 * min(weights["ada"], weights["ben"])
    use = Training(study, data)
    blocks = use.plan(use.believe(), 2, 50, 0.2, person="ada", pending=np.arange(30))
    shown = [image for block in blocks for image in block.images]
    assert len(set(shown)) == len(shown) > 0
    assert min(shown) >= 30


def test_an_audit_judges_people_by_what_the_classifier_doubts(tmp_path, photographs):
    lines = ["file,label"]
    for number, path in enumerate(sorted(photographs.glob("*/*.png"))):
        wrong = {"rose": "sky", "sky": "rose"}[path.parent.name]
        lines.append(f"{path.parent.name}/{path.name},{path.parent.name if number % 8 else wrong}")
    (tmp_path / "given.csv").write_text("\n".join(lines))
    study = Study.create(
        tmp_path / "audit", images=photographs, annotations=str(tmp_path / "given.csv"), classes=("rose", "sky"),
        use="audit", observer="own",
    )  # fmt: skip
    data = study.data()
    use = Audit(study, data)
    annotated = {image.id: image.annotation for image in study.store.images()}
    for name in ("rose", "sky"):
        rows = np.flatnonzero([annotated[int(one)] == name for one in data.ids])
        for person in ("ada", "ben", "dora"):
            look(study, person, rows, awake=person != "dora", target=f"not {name}")
    weights = {one.person: one.weight for one in trust(study, data).people}
    assert weights["dora"] < min(weights["ada"], weights["ben"])
    assert np.isfinite(use.believe().posterior).all()
