import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.eeg.epochs import Epocher, cut
from brainloop.eeg.preparation import Preparation, learn_preparation
from brainloop.eeg.signal import Signal
from brainloop.eeg.source import Source
from brainloop.errors import RecordingError, SettingsError

SPEC = Signal(tmax=0.5, settle=0.5)


def source(head, eog=(), bad=()):
    """The head's channels as a file has them; eye channels read the eyes."""
    data = np.concatenate([head.data, *(head.blinks[None] for _ in eog)])
    times = np.arange(data.shape[1]) / head.sfreq
    return Source(Path("a"), tuple(head.names), tuple(eog), data, head.positions, frozenset(bad), times, head.sfreq, ())


def learned(head, *, eog=(), bad=(), outputs=None, blinks="off", **options):
    return learn_preparation([source(head, eog, bad)], head.positions, outputs or head.names, blinks=blinks, **options)


def test_a_clean_head_is_left_as_it_is(head):
    preparation = learned(head)
    assert preparation.inputs == preparation.outputs == tuple(head.names)
    assert preparation.repairs == ()
    np.testing.assert_array_equal(preparation(head.data), head.data)


def test_a_flat_channel_is_interpolated_from_its_neighbours_and_said_so(head):
    truth = head.data[13].copy()
    head.data[13] = 0.0
    preparation = learned(head)
    assert preparation.repairs == ("Cz is flat (0.00 uV); interpolated from its neighbours",)
    assert "Cz" not in preparation.inputs
    assert preparation.outputs == tuple(head.names)
    prepared = preparation.on(head.names)(head.data)
    assert np.corrcoef(prepared[13], truth)[0, 1] > 0.8
    np.testing.assert_array_equal(np.delete(prepared, 13, axis=0), np.delete(head.data, 13, axis=0))


@pytest.mark.parametrize("why", ["few channels", "no positions", "many bad"])
def test_a_bad_channel_is_left_out_where_neighbours_cannot_tell_it(head, why):
    count = {"few channels": 8, "no positions": 32, "many bad": 32}[why]
    bad = head.names[:7] if why == "many bad" else head.names[:1]
    head.names, head.data, head.positions = head.names[:count], head.data[:count], head.positions[:count]
    if why == "no positions":
        head.positions = np.full((count, 3), np.nan)
    preparation = learned(head, bad=bad)
    assert preparation.outputs == tuple(head.names[len(bad) :])
    assert preparation.repairs == tuple(f"{name} is marked bad in the file; left out" for name in bad)


def test_repairs_can_be_switched_off(head):
    head.data[13] = 0.0
    preparation = learned(head, bad=("Pz",), bad_channels="keep")
    np.testing.assert_array_equal(preparation.matrix, np.eye(32))
    assert preparation.repairs == ()


def test_the_average_reference_is_the_mean_of_the_good_channels(head):
    head.data[20] *= 20
    preparation = learned(head, reference="average")
    prepared = preparation.on(head.names)(head.data)
    good = np.delete(head.data, 20, axis=0)
    np.testing.assert_allclose(np.delete(prepared, 20, axis=0), good - good.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(np.delete(prepared, 20, axis=0).mean(axis=0), 0, atol=1e-15)


def test_named_references_are_subtracted_and_left_out(head):
    preparation = learned(head, reference=["t7", "T8"])
    kept = [i for i, name in enumerate(head.names) if name not in ("T7", "T8")]
    assert preparation.outputs == tuple(head.names[i] for i in kept)
    mean = (head.data[11] + head.data[15]) / 2
    np.testing.assert_allclose(preparation.on(head.names)(head.data), head.data[kept] - mean, atol=1e-15)


def test_a_bad_reference_channel_is_done_without(head):
    head.data[11] = 0.0
    preparation = learned(head, reference=["T7", "T8"])
    assert preparation.repairs == ("T7 is flat (0.00 uV); the reference does without it",)
    kept = [i for i, name in enumerate(head.names) if name not in ("T7", "T8")]
    np.testing.assert_allclose(preparation.on(head.names)(head.data), head.data[kept] - head.data[15], atol=1e-15)


def test_everything_together_is_one_matrix_that_takes_blinks_out_of_interpolated_channels_too(head):
    clean = head.data.copy()
    head.data[1] = 0.0  # Fp2
    preparation = learned(head, eog=("VEOG",), blinks="auto", reference="average", outputs=head.names[:20])
    assert preparation.inputs[-1] == "VEOG"
    assert len(preparation.repairs) == 2
    data = np.concatenate([head.data, head.blinks[None]])
    prepared = preparation.on([*head.names, "VEOG"])(data)
    course = head.blinks - head.blinks.mean()
    assert np.abs(prepared @ course / (course @ course)).max() < 0.1
    assert np.abs(clean[:2] @ course / (course @ course)).min() > 0.5


def test_an_eye_channel_that_is_flat_is_not_used(head):
    head.blinks = 0 * head.blinks
    preparation = learned(head, eog=("VEOG",), blinks="auto", outputs=head.names[:3])
    assert preparation.repairs[0] == "VEOG is flat (0.00 uV); eye movements are found without it"
    assert "VEOG" not in preparation.inputs


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 1200), max_size=12),
    broken=st.lists(st.integers(0, 1199), max_size=2),
    n_inputs=st.integers(1, 6),
    n_outputs=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_live_equals_offline_with_a_preparation_for_any_chunks(cuts, broken, n_inputs, n_outputs, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n_outputs, n_inputs)) * rng.integers(0, 2, (n_outputs, n_inputs))
    preparation = Preparation(tuple(f"i{i}" for i in range(n_inputs)), tuple(f"o{i}" for i in range(n_outputs)), matrix)
    times, data = np.arange(1200) / 128, rng.normal(0, 2e-5, (n_inputs, 1200))
    data[0, broken] = np.nan
    onsets = np.sort(rng.uniform(0, 9.5, 20))
    offline = cut(times, preparation(data), onsets, 128.0, SPEC)
    live = Epocher(128.0, n_outputs, SPEC)
    parts = [live.push(times[:0], preparation(data[:, :0]), onsets)]
    for begin, end in itertools.pairwise([0, *sorted(cuts), 1200]):
        parts.append(live.push(times[begin:end], preparation(data[:, begin:end])))
    parts.append(live.close())
    np.testing.assert_array_equal(np.concatenate([p.data for p in parts]), offline.data)
    assert tuple(r for p in parts for r in p.rejected) == offline.rejected


def test_a_product_of_many_samples_is_the_matrix_product(head):
    matrix = np.random.default_rng(0).normal(size=(5, 32))
    preparation = Preparation(tuple(head.names), tuple("abcde"), matrix)
    np.testing.assert_allclose(preparation(head.data), matrix @ head.data, rtol=1e-9, atol=1e-18)


def test_a_headset_may_have_its_channels_in_another_order_and_more_of_them():
    preparation = Preparation(("Cz", "Pz"), ("Cz", "Pz"), np.array([[1.0, -0.5], [-0.5, 1.0]]))
    other = preparation.on(["Oz", "PZ", "cz"])
    data = np.random.default_rng(0).normal(size=(3, 10))
    data[0] = np.nan
    np.testing.assert_allclose(other(data), preparation(data[[2, 1]]))
    assert other.outputs == ("Cz", "Pz")


def test_outputs_can_be_picked_under_other_names():
    preparation = Preparation(("Cz", "Pz", "Oz"), ("Cz", "Pz", "Oz"), np.diag([1.0, 2.0, 3.0]))
    picked = preparation.pick(["OZ", "CZ"])
    assert (picked.inputs, picked.outputs) == (("Cz", "Oz"), ("OZ", "CZ"))
    np.testing.assert_array_equal(picked.matrix, [[0, 3], [1, 0]])


def test_missing_channels_are_named():
    preparation = Preparation.identity(["Cz", "Pz"])
    with pytest.raises(RecordingError, match="reads Pz, but the channels there are: Cz, Oz"):
        preparation.on(["Cz", "Oz"])
    with pytest.raises(RecordingError, match="asked for Fz"):
        preparation.pick(["Fz"])


def test_a_session_without_a_good_channel_is_refused(head):
    with pytest.raises(RecordingError, match="every EEG channel that is wanted is bad: Cz is marked"):
        learned(head, bad=("Cz",), outputs=["Cz"])
    with pytest.raises(RecordingError, match="every EEG channel of the reference is bad: Cz is marked"):
        learned(head, bad=("Cz",), reference="Cz")
    with pytest.raises(RecordingError, match=r"reference=\.\.\. names M1, but"):
        learned(head, reference=["M1"])


@pytest.mark.parametrize("option", [{"bad_channels": "drop"}, {"blinks": "ica"}])
def test_options_that_do_not_exist_are_refused(head, option):
    with pytest.raises(SettingsError, match="one of"):
        learned(head, **option)


def test_what_does_not_fit_is_refused():
    with pytest.raises(SettingsError, match=r"shape \(1, 2\)"):
        Preparation(("a", "b"), ("c",), np.eye(2))
    with pytest.raises(SettingsError, match="names of their own"):
        Preparation.identity(["Cz", "CZ"])
    with pytest.raises(SettingsError, match=r"shape \(2, n\)"):
        Preparation.identity(["Cz", "Pz"])(np.zeros((3, 4)))
