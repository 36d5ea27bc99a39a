import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainloop.calibration import (
    advice,
    is_enough,
    is_good,
    learn_calibration,
    load_calibrated,
    plan_calibration,
    recording_of,
    save_calibrated,
)
from brainloop.classifier.measure import Auc
from brainloop.decoder.protocol import DecoderSettings
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.headset import HeadsetInfo
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError, StudyError

LDA = DecoderSettings(method="lda")


def session_of(wearer, *, n_blocks=8, size=50, soa=0.2, flaws=(), presses=False, seed=0):
    """A raw session as the recorder leaves it, of a wearer who looks at blocks with rests between them."""
    rng = np.random.default_rng(seed)
    onsets, is_target = [], []
    for block in range(n_blocks):
        onsets += (block * (size * soa + 4.0) + np.arange(size) * soa).tolist()
        is_target += rng.permutation(np.arange(size) < 6).tolist()
    run = wearer.wear(np.array(onsets), np.array(is_target))
    events = [
        {
            "event": "presentation", "t": onset, "planned": onset, "next": onset + 1 / 60, "block": 1 + k // size,
            "position": k % size, "image": f"{k}.png", "phase": "calibration", "target": bool(target),
            "flaw": "late" if k in flaws else None,
        }
        for k, (onset, target) in enumerate(zip(onsets, is_target, strict=True))
    ]  # fmt: skip
    if presses:
        times = np.array(onsets)[np.array(is_target)]
        events += [
            {"event": "press", "t": t}
            for t in (times + rng.normal(0.4, 0.05, len(times)))[rng.random(len(times)) < 0.9]
        ]
    info = HeadsetInfo("lsl:test", "test", wearer.channels, (), wearer.sfreq)
    data = run.data.astype(np.float32)
    return SimpleNamespace(
        about={"person": "ada", "session": "1"}, info=info, times=run.times, data=data, events=events
    )


@given(
    n_targets=st.integers(3, 60), n_others=st.integers(20, 300), size=st.integers(20, 100),
    soa=st.sampled_from([0.1, 0.2, 1 / 3]), seed=st.integers(0, 5),
)  # fmt: skip
def test_a_plan_lasts_four_minutes_shows_no_image_twice_in_a_block_and_all_equally_often(
    n_targets, n_others, size, soa, seed
):
    targets, others = np.arange(n_targets), 1000 + np.arange(n_others)
    blocks = plan_calibration(targets, others, block_size=size, soa=soa, seed=seed)
    assert sum(block.seconds for block in blocks) >= 240 - 1e-6
    assert sum(block.seconds for block in blocks[:-1]) < 240
    for block in blocks:
        assert len(set(block.images)) == len(block.images) <= size
    shown = [image for block in blocks for image in block.images]
    for members in (targets, others):
        counts = np.array([shown.count(image) for image in members])
        assert counts.max() - counts.min() <= 1
    if n_targets >= 12 and n_others >= 88:
        share = np.mean([image < 1000 for image in shown])
        assert 0.08 <= share <= 0.16
    assert blocks == plan_calibration(targets, others, block_size=size, soa=soa, seed=seed)


def test_too_few_examples_are_refused_with_what_to_do():
    with pytest.raises(StudyError, match=r"2 and 50 are known\. Pick some examples"):
        plan_calibration(np.arange(2), 100 + np.arange(50), block_size=50, soa=0.2, seed=0)


def test_the_epochs_of_a_raw_session_are_those_of_the_recording_it_is():
    wearer = SyntheticWearer(3)
    session = session_of(wearer, n_blocks=2, flaws={7})
    recording = recording_of(session)
    assert recording.channels == wearer.channels
    trials = epoch_recording(recording, Signal())
    assert len(trials.onsets) == 99
    assert trials.usable.all()


def test_a_calibration_is_learned_kept_and_read_again(tmp_path):
    session = session_of(SyntheticWearer(3), presses=True)
    calibrated = learn_calibration(session, "both", LDA)
    assert calibrated.facts["auc"] > calibrated.facts["auc_eeg"] > 0.6
    assert calibrated.facts["presentations"] == 400
    assert calibrated.facts["targets"] == 48
    assert calibrated.facts["seconds"] == pytest.approx(8 * 49 * 0.2)
    save_calibrated(calibrated, tmp_path / "ada")
    again = load_calibrated(tmp_path / "ada")
    assert again.facts == json.loads(json.dumps(calibrated.facts))
    assert again.keys == calibrated.keys
    np.testing.assert_array_equal(again.preparation.matrix, calibrated.preparation.matrix)
    np.testing.assert_array_equal(again.erp.mean, calibrated.erp.mean)
    X = epoch_recording(recording_of(session), Signal()).data[:5]
    np.testing.assert_array_equal(again.decoder.evidence(X), calibrated.decoder.evidence(X))


def test_a_calibration_by_key_alone_needs_no_eeg(tmp_path):
    session = session_of(SyntheticWearer(3), presses=True)
    session.info = None
    calibrated = learn_calibration(session, "keyboard", LDA)
    assert calibrated.decoder is None
    assert calibrated.facts["auc"] > 0.8
    save_calibrated(calibrated, tmp_path)
    assert load_calibrated(tmp_path).decoder is None
    with pytest.raises(StudyError, match="key presses alone"):
        recording_of(session)


def test_a_wearer_without_a_response_is_at_chance_and_is_told_what_may_help():
    calibrated = learn_calibration(session_of(SyntheticWearer(4, p300=0.0)), "headset", LDA)
    auc = Auc(calibrated.facts["auc"], calibrated.facts["low"], calibrated.facts["high"])
    assert auc.low < 0.5 < auc.high
    assert not is_good(auc)
    assert any("Count the targets" in said for said in advice(calibrated.facts, {"Pz": "flat"}))
    assert "Pz (flat)" in advice(calibrated.facts, {"Pz": "flat"})[0]


def test_a_calibration_without_targets_says_so():
    session = session_of(SyntheticWearer(3), n_blocks=1)
    for event in session.events:
        event["target"] = False
    with pytest.raises(DecoderError, match="0 targets among 50"):
        learn_calibration(session, "headset", LDA)


def test_calibration_is_enough_once_it_is_long_and_its_interval_is_tight():
    assert is_enough(Auc(0.9, 0.87, 0.93), 130.0)
    assert not is_enough(Auc(0.9, 0.87, 0.93), 100.0)
    assert not is_enough(Auc(0.8, 0.7, 0.9), 130.0)


def test_nobody_who_never_calibrated_has_a_calibration(tmp_path):
    assert load_calibrated(tmp_path) is None
