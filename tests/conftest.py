"""Fixtures that every test may use, and the rule that CI skips nothing that it could run."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import mne
import numpy as np
import pytest
from PIL import Image

from brainloop.bench.postgres import Postgres, binaries, private_postgres
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import StudyError


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings, photographs and backbones beside the project."""
    folder = Path(os.environ.get("BRAINLOOP_SHARED", Path(__file__).parents[1] / ".." / "shared")).resolve()
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared folder at {folder}: set BRAINLOOP_SHARED to run on real data")
    return folder


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 160 small images in two class folders, reddish `rose` and bluish `sky`, 20 % of them roses."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(160):
        label, tint = ("rose", (40, 0, 0)) if number % 5 == 0 else ("sky", (0, 0, 40))
        pixels = rng.integers(60, 200, (24, 24, 3)) + np.array(tint)
        (folder / label).mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one session of the synthetic wearer, four runs of 100 presentations, a FIF file each."""
    folder = tmp_path_factory.mktemp("recordings")
    session = SyntheticWearer(1).calibration(400, prevalence=0.15)
    for number, run in enumerate(session.runs, start=1):
        info = mne.create_info(list(session.channels), session.sfreq, "eeg")
        raw = mne.io.RawArray(run.data, info, verbose="error")
        names = np.where(run.is_target, "target", "nontarget")
        raw.set_annotations(mne.Annotations(run.onsets - run.times[0], np.zeros(len(names)), names))
        raw.save(folder / f"sub-01_task-rsvp_run-{number:02d}_eeg.fif", verbose="error")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this run's own; nothing of it outlasts the run, so that it need not reach a disk."""
    try:
        binaries()
    except StudyError as error:
        pytest.skip(f"PostgreSQL is not installed here: {error}")
    with private_postgres(settings={"fsync": "off", "max_connections": "200"}) as server:
        yield server


NUMBERS = count(1)


@pytest.fixture
def new_database(postgres: Postgres) -> Iterator[Callable[[], str]]:
    """Makes an empty database on the run's server and gives its URL; all of them go with the test."""
    made: list[str] = []

    def make() -> str:
        made.append(f"test_{next(NUMBERS)}")
        return postgres.create(made[-1])

    yield make
    for name in made:
        postgres.drop(name)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI when a test was skipped: everything that tests need is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("BRAINLOOP_FAIL_ON_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("BRAINLOOP_FAIL_ON_SKIP is set and tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
