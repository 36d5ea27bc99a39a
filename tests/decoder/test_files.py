import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.files import FORMAT, KEY, load_decoder, save_decoder
from brainloop.decoder.members import METHODS
from brainloop.decoder.transfer import Person, transfer
from brainloop.errors import DecoderError


@pytest.fixture
def saved(trained, tmp_path):
    """A decoder of one member of each class but networks, on disk."""
    save_decoder(trained("xdawn_ts"), tmp_path / "decoder.safetensors")
    return tmp_path / "decoder.safetensors"


def read(path):
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()[KEY])


def write(path, arrays, about):
    save_file(arrays, path, metadata={KEY: about if isinstance(about, str) else json.dumps(about)})


@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_decoder_gives_the_same_scores_and_evidence_to_the_last_bit(method, trained, rest, tmp_path):
    decoder, path = trained(method), tmp_path / "decoder.safetensors"
    save_decoder(decoder, path)
    loaded = load_decoder(path)
    np.testing.assert_array_equal(loaded.decision_function(rest.X), decoder.decision_function(rest.X))
    np.testing.assert_array_equal(loaded.evidence(rest.X, rest.layout), decoder.evidence(rest.X, rest.layout))
    np.testing.assert_array_equal(loaded.predict_proba(rest.X), decoder.predict_proba(rest.X))
    assert loaded.get_params() == decoder.get_params()
    assert loaded.layout_ == rest.layout
    arrays = {"members_", "classes_", "alignment_", "limits_", "held_out_"}
    compared = {name for name in vars(decoder) if name.endswith("_")} - arrays
    assert {name: getattr(loaded, name) for name in compared} == {name: getattr(decoder, name) for name in compared}
    save_decoder(loaded, tmp_path / "again.safetensors")
    assert read(tmp_path / "again.safetensors")[1] == read(path)[1]


@pytest.mark.parametrize("calibration", ["platt", "isotonic", "beta"])
@pytest.mark.parametrize("labels", [("NonTarget", "Target"), (1, 2), (False, True), (0.0, 1.0)])
def test_labels_and_calibrations_of_any_kind_come_back(calibration, labels, first, rest, tmp_path):
    y = np.array(labels)[first.y.astype(int)]
    decoder = BrainDecoder("lda", calibration, random_state=3).fit(first.X, y)
    save_decoder(decoder, tmp_path / "decoder")
    loaded = load_decoder(tmp_path / "decoder")
    assert loaded.predict(rest.X).tolist() == decoder.predict(rest.X).tolist()
    assert loaded.classes_.dtype == decoder.classes_.dtype
    assert loaded.calibration_ == decoder.calibration_
    assert loaded.layout_ is None
    np.testing.assert_array_equal(loaded.evidence(rest.X), decoder.evidence(rest.X))


def test_a_decoder_from_other_people_keeps_its_alignment(session, rest, tmp_path):
    own, other = session[:100], session[100:400]
    decoder = transfer([Person(other.X, other.y)], Person(own.X, own.y), method="lda")
    path = tmp_path / "decoder.safetensors"
    save_decoder(decoder, path)
    np.testing.assert_array_equal(load_decoder(path).evidence(rest.X), decoder.evidence(rest.X))
    arrays, about = read(path)
    write(path, arrays | {"alignment": np.eye(7)}, about)
    with pytest.raises(DecoderError, match=r"alignment as float64 of shape \(8, 8\)"):
        load_decoder(path)
    del arrays["alignment"]
    write(path, arrays, about)
    with pytest.raises(DecoderError, match="lacks alignment"):
        load_decoder(path)


def test_arrays_are_named_by_member_and_field(saved):
    arrays, about = read(saved)
    assert set(arrays) == {f"xdawn_ts/{name}" for name in ("filters", "responses", "whitener", "weights", "bias")}
    assert (about["format"], about["members"]["xdawn_ts"]) == (FORMAT, {"class": "Tangent"})


def test_a_loaded_decoder_refuses_what_the_saved_one_refused(saved, rest):
    with pytest.raises(DecoderError, match="8 channels x 57 samples"):
        load_decoder(saved).evidence(rest.X[:, :7])
    with pytest.raises(DecoderError, match="same unit"):
        load_decoder(saved).evidence(1e6 * rest.X)


def test_an_untrained_decoder_is_not_saved(tmp_path):
    with pytest.raises(DecoderError, match="call fit first"):
        save_decoder(BrainDecoder(), tmp_path / "decoder")
    assert not list(tmp_path.iterdir())


def test_saving_replaces_the_old_file_in_one_step(saved, trained):
    before = saved.read_bytes()
    save_decoder(trained("xdawn_lda"), saved)
    assert saved.read_bytes() != before
    assert load_decoder(saved).method == "xdawn_lda"
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


# What is refused


def test_no_file_and_another_kind_of_file_are_refused_by_name(tmp_path):
    for path, content in ((tmp_path / "none", None), (tmp_path / "text", b"hello"), (tmp_path / "empty", b"")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DecoderError, match=f"decoder that brainloop saved at {path}"):
            load_decoder(path)
    with pytest.raises(DecoderError, match="decoder that brainloop saved"):
        load_decoder(tmp_path)


def test_arrays_of_another_program_are_refused(tmp_path):
    save_file({"weights": np.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(DecoderError, match="arrays of another program"):
        load_decoder(tmp_path / "model.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DecoderError, match="calibrate and save the decoder again"):
        load_decoder(saved)


def test_a_later_format_is_refused_with_the_version_that_wrote_it(saved):
    arrays, about = read(saved)
    write(saved, arrays, about | {"format": FORMAT + 1, "brainloop": "9.9"})
    with pytest.raises(DecoderError, match=r"format 1, got format 2, written by brainloop 9\.9"):
        load_decoder(saved)


def test_an_array_that_is_missing_or_one_too_many_is_named(saved):
    arrays, about = read(saved)
    write(saved, {name: values for name, values in arrays.items() if name != "xdawn_ts/whitener"}, about)
    with pytest.raises(DecoderError, match="xdawn_ts lacks whitener"):
        load_decoder(saved)
    write(saved, arrays | {"xdawn_ts/more": np.zeros(2)}, about)
    with pytest.raises(DecoderError, match="xdawn_ts has more too many"):
        load_decoder(saved)
    write(saved, arrays | {"svm/weights": np.zeros(2)}, about)
    with pytest.raises(DecoderError, match="'svm/weights', of no member"):
        load_decoder(saved)


@pytest.mark.parametrize("name", ["filters", "responses", "whitener", "weights", "bias"])
def test_an_array_of_another_shape_or_type_is_named(saved, name):
    arrays, about = read(saved)
    values = arrays[f"xdawn_ts/{name}"]
    for changed in (values[None], np.concatenate([values.ravel(), [0.0]]), values.astype(np.float32)):
        write(saved, arrays | {f"xdawn_ts/{name}": changed}, about)
        with pytest.raises(DecoderError, match=r"xdawn_ts: expected \w+ as float64 of shape"):
            load_decoder(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(saved, value):
    arrays, about = read(saved)
    arrays["xdawn_ts/weights"][3] = value
    write(saved, arrays, about)
    with pytest.raises(DecoderError, match="finite values in weights"):
        load_decoder(saved)


def test_networks_that_lack_a_layer_or_have_one_of_another_shape_are_refused(trained, tmp_path):
    path = tmp_path / "decoder.safetensors"
    save_decoder(trained("ensemble"), path)
    arrays, about = read(path)
    weights = arrays["stem/state/readout.weight"]
    for changed, message in (
        ({"stem/state/readout.weight": weights[:, :-1].copy()}, "stem: expected state/readout.weight as float32"),
        ({"stem/state/readout.weight": weights[:-1].copy()}, "stem: expected state/"),
        ({"stem/state/third.weight": weights}, "stem has state/third.weight too many"),
        ({"stem/whitener": np.eye(7)}, "stem: expected "),
    ):
        write(path, arrays | changed, about)
        with pytest.raises(DecoderError, match=message):
            load_decoder(path)
    del arrays["stem/state/norm_1.running_var"]
    write(path, arrays, about)
    with pytest.raises(DecoderError, match=r"stem lacks state/norm_1\.running_var"):
        load_decoder(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": None}, "finite number as scale, got None"),
        ({"scale": float("nan")}, "finite number as scale, got nan"),
        ({"scale": -1.0}, "a scale above 0"),
        ({"prevalence": 1.0}, "a prevalence between 0 and 1"),
        ({"spread": {"xdawn_ts": 0.0}}, "spreads above 0"),
        ({"centre": {}}, "no 'xdawn_ts'"),
        ({"members": {}}, "one member or more"),
        ({"members": ["xdawn_ts"]}, "does not describe"),
        ({"classes": [1]}, "two classes"),
        ({"classes": ["a", "a"]}, "two classes"),
        ({"shape": [8]}, "does not describe"),
        ({"shape": [8, 60]}, "layout of 8 channels x 60 samples"),
        ({"layout": {"channels": []}}, "does not describe"),
        ({"evidence": {"method": "platt"}}, "no 'knots'"),
        ({"contributions": None}, "does not describe"),
        ({"aligned": "no"}, "true or false as aligned"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused_with_what_is_wrong(saved, changes, message):
    arrays, about = read(saved)
    write(saved, arrays, about | changes)
    with pytest.raises(DecoderError, match=message):
        load_decoder(saved)


@pytest.mark.parametrize("key", ["method", "classes", "shape", "layout", "members", "evidence", "auc", "n_targets"])
def test_a_description_that_lacks_something_is_refused_by_its_name(saved, key):
    arrays, about = read(saved)
    write(saved, arrays, {name: value for name, value in about.items() if name != key})
    with pytest.raises(DecoderError, match=f"no '{key}'"):
        load_decoder(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "histogram"}, "platt, isotonic, beta, got 'histogram'"),
        ({"values": [1.0]}, "does not describe"),
        ({"limits": [0.0]}, "does not describe"),
        ({"prevalence": 0.0}, "prevalence between 0 and 1"),
        ({"values": ["1", "2"]}, "one of the calibration's values"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(saved, changes, message):
    arrays, about = read(saved)
    write(saved, arrays, about | {"evidence": about["evidence"] | changes})
    with pytest.raises(DecoderError, match=message):
        load_decoder(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_a_description_that_is_not_json_is_refused(saved, text):
    arrays, _ = read(saved)
    write(saved, arrays, text)
    with pytest.raises(DecoderError, match=r"is not JSON|in format 1"):
        load_decoder(saved)


@pytest.mark.parametrize("said", [{"class": "Forest"}, {}, {"class": "Networks", "kind": "resnet", "n_times": 57}])
def test_a_member_of_an_unknown_class_is_refused(saved, said):
    arrays, about = read(saved)
    write(saved, arrays, about | {"members": {"xdawn_ts": said}})
    with pytest.raises(DecoderError, match=r"of class Linear, Tangent or Networks|expected a network"):
        load_decoder(saved)
