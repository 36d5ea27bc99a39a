from functools import cache

import numpy as np
import pytest
from scipy import signal as sps
from sklearn.metrics import roc_auc_score

from brainloop.decoder.tangent import train_xdawn_ts
from brainloop.eeg.epochs import cut
from brainloop.eeg.scalp import CAP
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import FADE, SEGMENT, LiveWearer

WEARER = SyntheticWearer(11)
CHANNEL = {name: i for i, name in enumerate(WEARER.channels)}


@cache
def quiet(seconds=300):
    return LiveWearer(WEARER).render(250 * seconds)


@cache
def quiet_offline():
    return WEARER.wear(np.array([0.0, 300.0]), np.zeros(2, dtype=bool), block=7).data


def look(wearer, onsets, is_target, chunk=5):
    """Show images about as late as a marker comes, and render to the end."""
    live, parts, shown = LiveWearer(wearer), [], 0
    while live.until < onsets[-1] + 1.5:
        while shown < len(onsets) and onsets[shown] < live.until + 0.08:
            live.present(onsets[shown], bool(is_target[shown]))
            shown += 1
        parts.append(live.render(chunk))
    data = np.concatenate(parts, axis=1)
    return np.arange(data.shape[1]) / wearer.sfreq, data


def test_it_is_the_same_however_it_is_cut_into_chunks():
    live, rng, parts = LiveWearer(WEARER), np.random.default_rng(0), []
    live.present(0.5, is_target=True)
    while sum(part.shape[1] for part in parts) < 2500:
        parts.append(live.render(int(rng.integers(1, 700))))
    whole = LiveWearer(WEARER)
    whole.present(0.5, is_target=True)
    np.testing.assert_allclose(np.concatenate(parts, axis=1)[:, :2500], whole.render(2500), atol=1e-12)


@pytest.mark.parametrize("channel", ["Fp1", "Cz", "Oz"])
def test_its_background_has_the_spectrum_of_the_offline_wearer(channel):
    spectra = []
    for data in (quiet(), quiet_offline()):
        frequencies, power = sps.welch(data[CHANNEL[channel]], 250.0, nperseg=1000)
        bands = [(1, 4), (4, 8), (8, 12), (15, 30)]
        spectra.append([power[(frequencies >= low) & (frequencies < high)].mean() for low, high in bands])
    np.testing.assert_allclose(np.log(spectra[0]), np.log(spectra[1]), atol=0.5)


def test_no_step_and_no_change_of_loudness_shows_where_segments_meet():
    # The slope is that of the neighbourhood, and so is the variance within the fade.
    slope = np.abs(np.diff(quiet(), axis=1)).max(axis=0)
    size = round(SEGMENT * 250)
    seams = np.arange(1, 300 / SEGMENT).astype(int) * size
    assert slope[seams - 1].max() <= np.quantile(slope, 0.999) * 1.2
    fast = sps.sosfiltfilt(sps.butter(4, [2, 30], "bandpass", fs=250.0, output="sos"), quiet())[CHANNEL["Cz"]]
    place = np.arange(fast.size) % size
    fading = place < FADE * 250
    assert fast[fading].std() == pytest.approx(fast[~fading].std(), rel=0.1)


def test_its_mains_go_on_through_all_segments_with_one_phase():
    clock = np.arange(quiet().shape[1]) / 250.0
    carrier = np.exp(-2j * np.pi * 50.0 * clock)
    per_second = (quiet()[CHANNEL["Cz"]] * carrier).reshape(-1, 250).mean(axis=1)
    assert np.abs(per_second.mean()) > 0.95 * np.abs(per_second).mean()


def test_it_blinks_as_often_as_people_do():
    filtered = sps.sosfiltfilt(Signal().sos(250.0), quiet(), axis=1)
    peaks, _ = sps.find_peaks(filtered[CHANNEL["Fp1"]], height=60e-6, distance=100)
    assert 4 < len(peaks) / 5 < 12  # a minute


def test_it_is_decoded_as_well_as_the_offline_wearer():
    aucs = []
    for seed in range(3):
        wearer, rng = SyntheticWearer(seed), np.random.default_rng(seed)
        is_target = np.concatenate([rng.permutation(np.arange(100) < 15) for _ in range(8)])
        onsets = 3 + 0.2 * np.arange(800)
        offline = wearer.wear(onsets, is_target)
        for times, data in (look(wearer, onsets, is_target), (offline.times, offline.data)):
            X = 1e5 * cut(times, data, onsets, 250.0, Signal()).data
            trained = train_xdawn_ts(X[:400], is_target[:400].astype(float), np.ones(400))
            aucs.append(roc_auc_score(is_target[400:], trained.score(X[400:])))
    live, offline = np.reshape(aucs, (3, 2)).mean(axis=0)
    assert live == pytest.approx(offline, abs=0.05)  # standard error of the difference about .025


def test_who_does_not_react_to_targets_still_sees():
    onsets, is_target = 3 + 0.5 * np.arange(200), np.arange(200) % 5 == 2
    times, data = look(SyntheticWearer(4, p300=0.0), onsets, is_target)
    _, other = look(SyntheticWearer(4, p300=0.0), onsets, ~is_target)
    np.testing.assert_array_equal(data, other)
    evoked = cut(times, data, onsets, 250.0, Signal()).data[:, CHANNEL["PO7"]].mean(axis=0)
    assert np.ptp(evoked) > 3e-6


def test_it_misses_as_many_targets_as_asked():
    live = LiveWearer(SyntheticWearer(4, misses=0.3))
    noticed = [live.present(float(second), is_target=True) for second in range(1000)]
    assert np.mean(noticed) == pytest.approx(0.7, abs=0.05)
    assert not live.present(1001.0, is_target=False)


def test_a_marker_that_comes_late_leaves_the_rest_of_its_response():
    prompt, late, none = (LiveWearer(SyntheticWearer(4)) for _ in range(3))
    prompt.present(1.0, is_target=True)
    early = [live.render(325) for live in (prompt, late, none)]  # up to 1.3 s
    late.present(1.0, is_target=True)
    rest = [live.render(200) for live in (prompt, late, none)]
    np.testing.assert_array_equal(early[1], early[2])
    np.testing.assert_allclose(rest[1], rest[0], atol=1e-15)
    assert np.abs(rest[0] - rest[2]).max() > 5e-6


def test_a_whole_cap_can_be_worn():
    assert LiveWearer(SyntheticWearer(0, sfreq=512.0, channels=CAP)).render(1000).shape == (64, 1000)


def test_a_hazard_evokes_a_later_and_broader_wave_than_an_image_and_no_flash():
    still, watching, shown = (LiveWearer(SyntheticWearer(4)) for _ in range(3))
    for second in range(2, 90, 4):
        assert watching.notice(float(second))
        shown.present(float(second), is_target=True)
    none, hazard, image = (one.render(92 * 250) for one in (still, watching, shown))
    onsets = 2 + 4.0 * np.arange(22)
    places = np.round(onsets * 250).astype(int)[:, None] + np.arange(300)
    waves = {name: (data - none)[CHANNEL["Pz"]][places].mean(axis=0) for name, data in (("h", hazard), ("i", image))}
    times = np.arange(300) / 250
    late = times > 0.25
    centre = {name: np.average(times[late], weights=wave[late].clip(0)) for name, wave in waves.items()}
    assert centre["h"] - centre["i"] == pytest.approx(0.1, abs=0.05)
    assert (waves["h"] > waves["h"].max() / 2).sum() > (waves["i"] > waves["i"].max() / 2).sum()
    # No P1 at 0.1 s, as images evoke it.
    evoked = {n: (data - none)[CHANNEL["PO7"]][places].mean(axis=0) for n, data in (("h", hazard), ("i", image))}
    early = np.abs(times - 0.1) < 0.02
    assert np.abs(evoked["h"][early]).max() < 0.2 * np.abs(evoked["i"][early]).max()


def test_it_misses_as_many_hazards_as_asked_and_images_are_as_if_there_were_none():
    live, other = (LiveWearer(SyntheticWearer(4, misses=0.3)) for _ in range(2))
    noticed = [live.notice(float(second)) for second in range(1000)]
    assert np.mean(noticed) == pytest.approx(0.7, abs=0.05)
    seen = [[one.present(2000.0 + n, is_target=True) for n in range(50)] for one in (live, other)]
    assert seen[0] == seen[1]
