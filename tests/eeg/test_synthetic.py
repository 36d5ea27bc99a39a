from functools import cache

import numpy as np
import pytest
from scipy import signal as sps
from sklearn.metrics import roc_auc_score

from brainloop.decoder.tangent import train_xdawn_ts
from brainloop.eeg.epochs import Epocher, cut, epoch_recording
from brainloop.eeg.erp import erp
from brainloop.eeg.recordings import Recording
from brainloop.eeg.scalp import CAP
from brainloop.eeg.signal import CausalFilter, Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import SettingsError

WEARER = SyntheticWearer(11)
CHANNEL = {name: i for i, name in enumerate(WEARER.channels)}
SPEC = Signal()


@cache
def quiet_run(minutes=10):
    """Ten minutes with one image at the end: all the rest is background."""
    return WEARER.wear(np.array([0.0, 60.0 * minutes]), np.zeros(2, dtype=bool), block=7)


def spectrum(channel):
    return sps.welch(quiet_run().data[CHANNEL[channel]], 250.0, nperseg=2500)


def respond(is_target, soa=1.5, hardness=None, n_blocks=8, wearer=WEARER):
    """Epochs of several blocks with the same schedule: their mean is the response without the background."""
    onsets = soa * np.arange(len(is_target))
    parts = []
    for block in range(n_blocks):
        run = wearer.wear(onsets, is_target, hardness, block=block)
        parts.append(cut(run.times, run.data, run.onsets, 250.0, SPEC).data)
    return np.stack(parts)  # (n_blocks, n, n_channels, n_times)


def late_amplitude(epochs, channel="Pz", window=(0.3, 0.6)):
    times = SPEC.times(250.0)
    return epochs[..., CHANNEL[channel], (times >= window[0]) & (times < window[1])].mean(axis=-1)


def test_the_background_falls_as_one_over_f():
    frequencies, power = spectrum("Cz")
    fitted = ((frequencies >= 2) & (frequencies <= 7)) | ((frequencies >= 14) & (frequencies <= 30))
    slope = np.polyfit(np.log(frequencies[fitted]), np.log(power[fitted]), 1)[0]
    assert -2.0 < slope < -1.2


def test_alpha_has_its_peak_at_10_hz_over_the_occiput():
    frequencies, power = spectrum("Oz")
    alpha = (frequencies > 7) & (frequencies < 14)
    assert frequencies[alpha][power[alpha].argmax()] == pytest.approx(10, abs=0.5)
    at_ten = np.abs(frequencies - 10).argmin()
    neighbours = (np.abs(frequencies - 7) < 0.5) | (np.abs(frequencies - 13) < 0.5)
    assert power[at_ten] > 5 * power[neighbours].mean()
    assert power[at_ten] > 3 * spectrum("Fz")[1][at_ten]


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_mains_are_a_line_at_their_frequency(mains):
    run = SyntheticWearer(1, mains=mains).wear(np.array([0.0, 60.0]), np.zeros(2, dtype=bool))
    frequencies, power = sps.welch(run.data[0], 250.0, nperseg=2500)
    high = frequencies > 30
    assert frequencies[high][power[high].argmax()] == pytest.approx(mains, abs=0.1)


def test_blinks_are_large_beside_the_eyes_and_small_at_the_back():
    run = quiet_run()
    filtered = sps.sosfiltfilt(SPEC.sos(250.0), run.data, axis=1)
    peaks, _ = sps.find_peaks(filtered[CHANNEL["Fp1"]], height=60e-6, distance=100)
    assert 5 < len(peaks) / 10 < 11  # a minute
    shape = filtered[:, peaks].mean(axis=1)
    assert 80e-6 < shape[CHANNEL["Fp1"]] < 160e-6
    assert abs(shape[CHANNEL["Oz"]]) < 0.1 * shape[CHANNEL["Fp1"]]
    assert shape[CHANNEL["Fz"]] < 0.8 * shape[CHANNEL["Fp1"]]


def test_every_electrode_drifts_about_an_offset():
    run = quiet_run()
    assert np.abs(run.data.mean(axis=1)).max() > 100e-6
    slow = run.data[:, ::2500]
    assert np.ptp(slow, axis=1).min() > 20e-6


def test_every_image_evokes_p1_and_n1_over_the_visual_cortex():
    epochs = respond(np.zeros(40, dtype=bool)).reshape(-1, 8, len(SPEC.times(250.0)))
    mean = erp(epochs, np.zeros(len(epochs), dtype=bool), SPEC.times(250.0), WEARER.channels).mean[0]
    # The causal low-pass delays by about 30 ms.
    early, late = ((SPEC.times(250.0) > a) & (SPEC.times(250.0) < b) for a, b in ((0.1, 0.17), (0.17, 0.25)))
    for channel in ("PO7", "PO8"):
        assert mean[CHANNEL[channel], early].max() > 1e-6
        assert mean[CHANNEL[channel], late].min() < -1.5e-6
    assert np.ptp(mean[CHANNEL["Fp1"]]) < 0.5 * np.ptp(mean[CHANNEL["PO7"]])


def test_the_p300_to_targets_is_parietal_and_at_the_persons_latency():
    is_target = np.arange(40) % 8 == 4
    epochs = respond(is_target, n_blocks=80)
    wave = epochs[:, is_target].mean(axis=(0, 1)) - epochs[:, ~is_target].mean(axis=(0, 1))
    times = SPEC.times(250.0)
    assert WEARER.channels[wave.max(axis=1).argmax()] == "Pz"
    # Where a wave at that latency has its peak behind the causal filter.
    clock = np.arange(-2, 2, 1 / 250)
    wave_at_latency = np.exp(-((clock - WEARER.latency) ** 2) / (2 * 0.085**2))
    expected = clock[CausalFilter(250.0, 1, SPEC)(wave_at_latency[None])[0].argmax()]
    assert times[wave[CHANNEL["Pz"]].argmax()] == pytest.approx(expected, abs=0.025)
    at_peak = wave[:, wave[CHANNEL["Pz"]].argmax()]
    assert at_peak[CHANNEL["Fp1"]] < 0.4 * at_peak[CHANNEL["Pz"]]


def test_the_p300_jitters_from_trial_to_trial():
    clean = SyntheticWearer(11, p300=100e-6)  # far above the background, so that single peaks can be read
    epochs = respond(np.arange(40) % 4 == 2, wearer=clean)[:, np.arange(40) % 4 == 2, CHANNEL["Pz"]].reshape(80, -1)
    peaks = SPEC.times(250.0)[epochs.argmax(axis=1)]
    assert 0.025 < peaks.std() < 0.06
    assert 0.15 < epochs.max(axis=1).std() / epochs.max(axis=1).mean() < 0.35


def test_a_target_within_the_attentional_blink_evokes_no_p300():
    is_target = np.zeros(40, dtype=bool)
    is_target[[5, 6, 20, 23]] = True  # 0.3 s and 0.9 s after another
    gains = WEARER.p300_gains(0.3 * np.arange(40), is_target)
    assert gains[6] == 0
    assert (gains[[5, 20, 23]] > 0.5).all()
    single, double = is_target.copy(), is_target
    single[6] = False
    # The same noise with and without the second target: its P300 is not there.
    runs = [WEARER.wear(0.3 * np.arange(40), y, block=1) for y in (single, double)]
    during = (runs[0].times > 5 * 0.3) & (runs[0].times < 15 * 0.3)
    np.testing.assert_allclose(runs[0].data[:, during], runs[1].data[:, during], atol=1e-12)


def test_frequent_targets_evoke_a_weaker_p300():
    rare, frequent = np.arange(60) % 10 == 9, np.arange(60) % 2 == 1
    strength = []
    for is_target in (rare, frequent):
        epochs = respond(is_target, n_blocks=6)[:, 20:]
        y = is_target[20:]
        strength.append(late_amplitude(epochs[:, y]).mean() - late_amplitude(epochs[:, ~y]).mean())
    assert strength[1] < 0.75 * strength[0]


def test_hard_images_evoke_a_weaker_and_later_p300():
    is_target = np.arange(60) % 6 == 3
    waves = []
    for hardness in (0.0, 1.0):
        epochs = respond(is_target, hardness=np.full(60, hardness), n_blocks=12)
        waves.append((epochs[:, is_target].mean(axis=(0, 1)) - epochs[:, ~is_target].mean(axis=(0, 1)))[CHANNEL["Pz"]])
    easy, hard = waves
    assert hard.max() < 0.6 * easy.max()
    assert SPEC.times(250.0)[hard.argmax()] > SPEC.times(250.0)[easy.argmax()] + 0.04


def test_a_block_can_be_rendered_again_by_itself_and_blocks_and_people_differ():
    onsets, is_target = 0.2 * np.arange(20), np.arange(20) == 7
    again = [SyntheticWearer(11).wear(onsets, is_target, block=4).data for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert not np.array_equal(again[0], WEARER.wear(onsets, is_target, block=5).data)
    assert not np.array_equal(again[0], SyntheticWearer(12).wear(onsets, is_target, block=4).data)


def test_the_clock_is_that_of_the_onsets():
    run = WEARER.wear(1000.0 + 0.2 * np.arange(20), np.arange(20) == 7)
    assert run.times[0] == pytest.approx(997.0)
    assert run.times[-1] > 1000 + 19 * 0.2 + SPEC.tmax
    assert cut(run.times, run.data, run.onsets, 250.0, SPEC).usable.all()


def test_a_block_streamed_in_chunks_gives_the_epochs_of_the_whole_block():
    run = WEARER.wear(0.2 * np.arange(20), np.arange(20) == 7)
    whole = cut(run.times, run.data, run.onsets, 250.0, SPEC)
    live = Epocher(250.0, 8, SPEC)
    parts = [
        live.push(run.times[i : i + 17], run.data[:, i : i + 17], run.onsets if i == 0 else ())
        for i in range(0, len(run.times), 17)
    ]
    np.testing.assert_array_equal(np.concatenate([p.data for p in parts]), whole.data)


def test_a_calibration_has_the_prevalence_asked_for_and_targets_anywhere():
    recording = WEARER.calibration(250, prevalence=0.12, soa=0.2)
    assert [len(run.onsets) for run in recording.runs] == [100, 100, 50]
    assert recording.n_targets == 30
    assert recording.soa == pytest.approx(0.2)
    apart = np.concatenate([np.diff(run.onsets[run.is_target]) for run in recording.runs])
    assert apart.min() < 0.5 < np.median(apart)


def test_a_calibration_makes_a_decoder_as_good_as_a_good_session_does():
    aucs = []
    for seed in range(3):
        trials = epoch_recording(SyntheticWearer(seed).calibration(800), SPEC)
        train, test = (np.flatnonzero(trials.usable & part) for part in (trials.runs < 4, trials.runs >= 4))
        X = 1e5 * trials.data  # about unit variance
        trained = train_xdawn_ts(X[train], trials.is_target[train].astype(float), np.ones(len(train)))
        aucs.append(roc_auc_score(trials.is_target[test], trained.score(X[test])))
    assert 0.76 < np.mean(aucs) < 0.88


def test_a_calibration_is_a_recording_like_any_other():
    assert isinstance(WEARER.calibration(100), Recording)
    assert WEARER.calibration(100).person == "sub-simulated11"


@pytest.mark.parametrize(
    "call",
    [
        lambda: SyntheticWearer(-1),
        lambda: SyntheticWearer(0, sfreq=90.0),
        lambda: SyntheticWearer(0, misses=1.5),
        lambda: WEARER.wear(np.array([0.0, 0.0]), np.zeros(2, dtype=bool)),
        lambda: WEARER.wear(np.zeros(0), np.zeros(0, dtype=bool)),
        lambda: WEARER.wear(np.array([0.0, 1.0]), np.zeros(3, dtype=bool)),
        lambda: WEARER.wear(np.array([0.0]), np.zeros(1, dtype=bool), np.array([1.5])),
        lambda: WEARER.calibration(100, prevalence=1.0),
        lambda: WEARER.calibration(100, prevalence=0.0),
    ],
)
def test_what_cannot_be_rendered_is_refused(call):
    with pytest.raises(SettingsError, match="expected"):
        call()


def test_a_wearer_of_a_whole_cap_has_its_p300_at_pz_too():
    onset, is_target = np.array([0.0]), np.array([True])
    seen, unmoved = (SyntheticWearer(11, p300=p300, channels=CAP).wear(onset, is_target) for p300 in (16e-6, 0.0))
    assert CAP[(seen.data - unmoved.data).max(axis=1).argmax()] == "Pz"


def test_targets_that_are_missed_evoke_nothing():
    is_target = np.arange(40) % 8 == 4
    blind = SyntheticWearer(11, misses=1.0).wear(0.5 * np.arange(40), is_target)
    without = WEARER.wear(0.5 * np.arange(40), np.zeros(40, dtype=bool))
    np.testing.assert_array_equal(blind.data, without.data)
    np.testing.assert_array_equal(blind.is_target, is_target)


def test_the_share_of_misses_is_that_asked_for():
    is_target = np.ones(200, dtype=bool)
    onsets = np.arange(200.0)
    some, none, all_ = (SyntheticWearer(2, misses=share).wear(onsets, is_target) for share in (0.3, 1.0, 0.0))
    responses = [
        cut(run.times, run.data - none.data, onsets, 250.0, SPEC).data[:, CHANNEL["Pz"]].max(axis=1)
        for run in (some, all_)
    ]
    assert (responses[0] > 0.1e-6).sum() / (responses[1] > 0.1e-6).sum() == pytest.approx(0.7, abs=0.12)
