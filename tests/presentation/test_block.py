import numpy as np

from brainloop.presentation.block import Block


def test_onsets_are_a_soa_apart_and_the_last_image_stays_for_one():
    block = Block(round=1, number=3, images=(5, 6, 7), soa=0.2)
    np.testing.assert_allclose(block.onsets, [0, 0.2, 0.4])
    assert block.seconds == 3 * 0.2
