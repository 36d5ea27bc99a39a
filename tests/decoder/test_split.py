import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.decoder.split import first_share, in_blocks
from brainloop.errors import SettingsError

schedules = st.lists(st.lists(st.floats(0, 50), min_size=1, max_size=30), min_size=1, max_size=4).filter(
    lambda runs: sum(map(len, runs)) >= 10
)


def overlap(train, test, onsets, runs, purge):
    return any(runs[i] == runs[j] and abs(onsets[i] - onsets[j]) < purge for i in train for j in test)


@settings(max_examples=50, deadline=None)
@given(schedule=schedules, share=st.floats(0.2, 0.8), purge=st.floats(0.1, 3))
def test_the_first_share_is_earlier_than_the_rest_and_overlaps_none_of_it(schedule, share, purge):
    onsets, runs = np.concatenate(schedule), np.repeat(np.arange(len(schedule)), [len(r) for r in schedule])
    train, rest = first_share(onsets, runs, share=share, purge=purge)
    assert len(rest) == len(onsets) - int(share * len(onsets))
    assert not set(train) & set(rest)
    assert not overlap(train, rest, onsets, runs, purge)
    if len(train):
        assert max(zip(runs[train], onsets[train], strict=True)) <= min(zip(runs[rest], onsets[rest], strict=True))


@settings(max_examples=50, deadline=None)
@given(schedule=schedules, purge=st.floats(0.1, 3))
def test_blocks_test_every_trial_once_and_train_on_none_that_overlaps(schedule, purge):
    onsets, runs = np.concatenate(schedule), np.repeat(np.arange(len(schedule)), [len(r) for r in schedule])
    folds = in_blocks(onsets, runs, purge=purge)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(onsets)))
    for train, test in folds:
        assert not overlap(train, test, onsets, runs, purge)
        # Nothing is left out without a reason.
        left_out = set(range(len(onsets))) - set(train) - set(test)
        assert all(overlap([i], test, onsets, runs, purge) for i in left_out)


def test_only_the_epochs_at_the_edge_are_purged():
    onsets = 0.2 * np.arange(100)
    train, rest = first_share(onsets, np.zeros(100, dtype=int), share=0.4, purge=0.9)
    assert train[-1] == 35
    assert rest[0] == 40


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_that_leaves_one_side_empty_is_refused(share):
    with pytest.raises(SettingsError, match="share between 0 and 1"):
        first_share(np.arange(5.0), np.zeros(5, dtype=int), share=share, purge=0.9)


def test_one_block_is_refused():
    with pytest.raises(SettingsError, match="two blocks"):
        in_blocks(np.arange(5.0), np.zeros(5, dtype=int), n_blocks=1, purge=0.9)
