import json
import uuid

import pylsl
import pytest

from brainloop.presentation.markers import MARKERS, MarkerOutlet


def test_a_marker_is_json_with_the_onset_as_its_timestamp():
    outlet = MarkerOutlet(source_id := uuid.uuid4().hex)
    (found,) = pylsl.resolve_byprop("source_id", source_id, timeout=10)
    assert (found.name(), found.type()) == (MARKERS, "Markers")
    inlet = pylsl.StreamInlet(found)
    inlet.open_stream()
    outlet.publish({"event": "presentation", "image": "\u00e9/\U0001f339.png", "flaw": None}, 1234.5)
    (text,), when = inlet.pull_sample(timeout=10)
    assert when == 1234.5
    assert json.loads(text)["image"] == "\u00e9/\U0001f339.png"
    assert outlet.is_heard
    outlet.close()


def test_what_is_no_json_is_not_published():
    with pytest.raises(ValueError, match="JSON"):
        MarkerOutlet(uuid.uuid4().hex).publish({"t": float("nan")}, 0.0)
