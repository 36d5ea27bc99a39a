import pytest

from brainloop.bench.jobs import run_jobs


def work(shared, a, b):
    return shared, a - b


def fail(shared, a):
    raise ValueError(f"{shared} {a}")


@pytest.mark.parametrize("workers", [1, 2, None])
def test_what_each_job_came_to_is_in_the_order_of_the_jobs(workers):
    told = []
    found = run_jobs(work, "all", [(5, 1), (3, 1), (9, 9)], workers=workers, progress=lambda *done: told.append(done))
    assert found == [("all", 4), ("all", 2), ("all", 0)]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_fails_ends_all(workers):
    with pytest.raises(ValueError, match="shared 2"):
        run_jobs(fail, "shared", [(2,)] * 3, workers=workers)
