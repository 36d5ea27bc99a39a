from brainloop.store import PoolImage
from brainloop.studio.known import Known


def images(n, part="pool", label=None, first=0):
    return {k: PoolImage(k, f"hash{k}", f"{k}.png", label, part) for k in range(first, first + n)}


def test_images_set_aside_for_calibration_are_examples_by_their_class_folder():
    known = Known(
        images=images(4, "calibration", "cat") | images(70, "calibration", "dog", first=10) | images(9, first=100),
        has_truth=True,
    )
    targets, others = known.examples("cat")
    assert targets == {0, 1, 2, 3}
    assert others == set(range(10, 80))


def test_what_a_person_named_is_an_example_and_the_rest_of_a_pool_is_mostly_something_else():
    known = Known(images=images(1000), corrections={1: True, 2: True, 3: True, 4: False})
    targets, others = known.examples("cat")
    assert targets == {1, 2, 3}
    assert 4 in others
    assert 100 <= len(others) <= 334
    assert not others & targets


def test_where_class_folders_tell_nothing_is_taken_unseen():
    known = Known(images=images(1000, label="dog"), corrections={1: True}, has_truth=True)
    assert known.examples("cat") == ({1}, frozenset())
