"""The decoder inside MOABB's evaluations, on a made-up data set."""

import tempfile

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from brainloop.decoder.decoder import BrainDecoder

pytestmark = [
    pytest.mark.filterwarnings("ignore:Montage name"),
    pytest.mark.filterwarnings("ignore:Creating a dataset without passing data"),
]


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Two people with 120 presentations each, every other one a target, which evokes a small P300 on all channels."""
    from moabb.datasets.fake import FakeDataset  # late: it takes seconds to import

    class FakeP300(FakeDataset):
        def _generate_raw(self, n_events, duration):
            raw = super()._generate_raw(n_events, duration)
            data = raw.get_data()
            since = np.arange(int(0.6 * self.sfreq)) / self.sfreq
            for onset in np.flatnonzero(data[-1] == self.event_id["Target"]):
                data[:-1, onset : onset + len(since)] += 5e-6 * np.exp(-(((since - 0.3) / 0.1) ** 2))
            raw._data[:] = data
            return raw

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return FakeP300(
        ("Target", "NonTarget"), code="FakeP300", n_sessions=1, n_runs=1, n_subjects=2, n_events=120, paradigm="p300",
        seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("evaluation", ["WithinSessionEvaluation", "CrossSubjectEvaluation"])
def test_it_takes_part_in_moabbs_evaluations(evaluation, dataset, tmp_path):
    from moabb import evaluations
    from moabb.paradigms import P300

    evaluate = getattr(evaluations, evaluation)(
        P300(fmin=0.5, fmax=20, resample=64), [dataset], hdf5_path=str(tmp_path), overwrite=True
    )
    results = evaluate.process({"brainloop": make_pipeline(BrainDecoder("lda"))})
    assert sorted(results.subject.astype(str)) == ["1", "2"]
    assert (results.score > 0.7).all()
    assert (results.score < 1).all()
