from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.errors import SettingsError
from brainloop.settings import Settings

names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)


@settings(deadline=None)
@given(
    images=names, target=names, seed=st.integers(0, 2**63 - 1), difficulty=st.floats(0, 1),
    soa=st.none() | st.floats(0.02, 60), compose=st.none() | st.booleans(), recordings=st.lists(names, max_size=3),
)  # fmt: skip
def test_settings_come_back_from_toml_as_they_were(tmp_path_factory, **values):
    made = Settings(**values)
    path = tmp_path_factory.mktemp("settings") / "study.toml"
    made.save(path)
    assert Settings.load(path) == made


def test_every_setting_is_written_with_its_reason(tmp_path):
    Settings("photos", "cat").save(tmp_path / "study.toml")
    text = (tmp_path / "study.toml").read_text()
    assert "# one seed, one result\nseed = 0" in text
    assert "# soa =" in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"difficulty": 1.5}, "difficulty: expected 0 to 1; 1.5 came"),
        ({"system": "soft"}, "system: expected one of 'brainloop', 'talk', 'hard', 'truth'; 'soft' came"),
        ({"seed": "0"}, "seed: expected int; '0' came"),
        ({"max_looks": True}, "max_looks: expected int; True came"),
        ({"looks_per_round": 0}, "looks_per_round: expected 1"),
        ({"soa": 0.001}, "soa: expected 0.02 to 60"),
        ({"recordings": "one.fif"}, "recordings: expected a list of texts"),
        ({"observer": "replay"}, "'replay' came with 0 recordings"),
        ({"observer": "simulated", "recordings": ("a.fif",)}, "'simulated' came with 1 recordings"),
        ({"test_share": float("nan")}, "test_share"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(values, expected):
    with pytest.raises(SettingsError, match=expected):
        Settings("photos", "cat", **values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images = ", "expected TOML"),
        ("images = 'a'", "expected either a target"),
        ("images = 'a'\ntarget = 'b'\nlooks = 3", "unknown settings looks"),
    ],
)
def test_a_broken_settings_file_is_named_with_its_fault(tmp_path, text, expected):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(SettingsError, match=expected):
        Settings.load(tmp_path / "study.toml")


def test_recordings_are_replayed_and_without_any_the_observer_is_simulated():
    assert Settings("photos", "cat", recordings=("a.fif",)).observer == "replay"
    assert Settings("photos", "cat").observer == "simulated"


def test_whole_numbers_do_for_settings_in_seconds():
    assert replace(Settings("photos", "cat"), pause=3).pause == 3.0
