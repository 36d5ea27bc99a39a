from brainloop.settings import Settings
from brainloop.store import PoolImage
from brainloop.studio.known import Known

ONE = Settings(images="x", target="cat", observer="live")
SEVERAL = Settings(images="x", classes=("cat", "dog", "hen"), observer="live")
AUDIT = Settings(images="x", classes=("cat", "dog"), use="audit", observer="live")


def images(n, part="pool", label=None, first=0, annotation=None):
    return {k: PoolImage(k, f"hash{k}", f"{k}.png", label, part, annotation) for k in range(first, first + n)}


def test_images_set_aside_for_calibration_are_examples_by_their_class_folder():
    known = Known(
        ONE,
        images=images(4, "calibration", "cat") | images(70, "calibration", "dog", first=10) | images(9, first=100),
        has_truth=True,
    )
    targets, others = known.examples("cat")
    assert targets == {0, 1, 2, 3}
    assert others == set(range(10, 80))


def test_what_a_person_named_is_an_example_and_the_rest_of_a_pool_is_mostly_something_else():
    known = Known(ONE, images=images(1000), corrections=dict.fromkeys((1, 2, 3), ("cat", True)) | {4: ("cat", False)})
    targets, others = known.examples("cat")
    assert targets == {1, 2, 3}
    assert 4 in others
    assert 100 <= len(others) <= 334
    assert not others & targets


def test_where_class_folders_tell_nothing_is_taken_unseen():
    known = Known(ONE, images=images(1000, label="dog"), corrections={1: ("cat", True)}, has_truth=True)
    assert known.examples("cat") == ({1}, frozenset())


def test_what_is_one_of_several_classes_is_an_example_of_none_of_the_others():
    said = {1: ("cat", True), 2: ("dog", True), 3: ("dog", False), 4: ("hen", True)}
    known = Known(SEVERAL, images=images(100), corrections=said)
    assert known.examples("cat") == ({1}, {2, 4})
    assert known.examples("dog") == ({2}, {1, 3, 4})


def test_of_several_classes_that_is_calibrated_of_which_most_blocks_can_be_made():
    said = {k: ("dog" if k < 30 else "cat", True) for k in range(40)}
    known = Known(SEVERAL, images=images(100), corrections=said)
    assert known.calibrates == "cat"  # ten, among thirty others; of dogs, only ten others are known
    assert known.shows == {"cat": (30, 34, 39), "dog": (0, 14, 29), "hen": ()}


def test_in_an_audit_annotations_stand_for_the_answers_and_the_word_of_a_person_counts_more():
    pool = images(50, annotation="cat") | images(30, first=100, annotation="dog") | images(5, "aside", first=200)
    known = Known(AUDIT, images=pool, corrections={0: ("not cat", True), 1: ("not cat", False)})
    wrong, right = known.examples("not cat")
    assert wrong == set(range(100, 130)) | {0}
    assert right == set(range(1, 50))
    assert known.shows["not cat"] == (1, 2, 49)  # what a cat looks like: a named one first
