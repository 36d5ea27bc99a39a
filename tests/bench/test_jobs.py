import pytest

from brainloop.bench.jobs import run_jobs

# Work that another process can import, whatever started the tests: Python's own divmod(shared, job).


@pytest.mark.parametrize("workers", [1, 2, None])
def test_what_each_job_came_to_is_in_the_order_of_the_jobs(workers):
    told = []
    found = run_jobs(divmod, 17, [(5,), (3,), (9,)], workers=workers, progress=lambda *done: told.append(done))
    assert found == [(3, 2), (5, 2), (1, 8)]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_fails_ends_all(workers):
    with pytest.raises(ZeroDivisionError):
        run_jobs(divmod, 17, [(0,)] * 3, workers=workers)
