"""Soft clipping: the middle stays, the ends are bent, and nothing that is loud decides alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brainloop.decoder.clipping import soft_clip
from brainloop.decoder.decoder import BrainDecoder


def test_small_samples_stay_as_they_are_and_large_ones_level_off():
    X = np.array([[[0.0, 0.01, -0.01, 50.0, -50.0]], [[1.0, 2.0, 3.0, 4.0, 1e9]]])
    clipped = soft_clip(X, np.array([2.0]))
    np.testing.assert_allclose(clipped[0, 0, :3], X[0, 0, :3], rtol=1e-4)
    np.testing.assert_allclose(clipped[0, 0, 3:], [2.0, -2.0])
    np.testing.assert_allclose(clipped[1, 0], 2 * np.tanh(X[1, 0] / 2))


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=9), st.floats(1e-6, 1e6))
def test_clipping_keeps_order_and_sign_and_never_passes_the_limit(samples, limit):
    samples = np.sort(samples)
    clipped = soft_clip(samples[None, None], np.array([limit]))[0, 0]
    assert (np.diff(clipped) >= -1e-12).all()
    assert (np.abs(clipped) <= np.minimum(np.abs(samples), limit) * (1 + 1e-12) + 1e-12).all()
    assert (clipped * samples >= 0).all()


def test_each_channel_has_its_own_limit():
    X = np.full((1, 2, 3), 10.0)
    np.testing.assert_allclose(soft_clip(X, np.array([1.0, 4.0]))[0, :, 0], [np.tanh(10), 4 * np.tanh(2.5)])


def test_single_decoders_are_left_as_the_field_has_them(session):
    assert BrainDecoder("lda").fit(session.X, session.y).limits_ is None
