import inspect
import os
import re
import signal
import subprocess
import sys
import uuid

import pylsl
import pytest

from brainloop.cli_headset import simulate
from brainloop.presentation.markers import MARKERS, MarkerOutlet

COMMAND = [sys.executable, "-m", "brainloop", "headset", "simulate"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_wearer_is_published_until_it_is_told_to_stop_and_says_what_it_saw(end):
    tag = uuid.uuid4().hex
    options = ["--target", "rose", "--channels", "16", "--source-id", f"w-{tag}", "--markers", f"m-{tag}"]
    running = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert f"lsl:w-{tag}" in running.stdout.readline()
        (found,) = pylsl.resolve_byprop("source_id", f"w-{tag}", timeout=10)
        assert (found.type(), found.channel_count(), found.nominal_srate()) == ("EEG", 17, 250.0)
        outlet = MarkerOutlet(f"m-{tag}")
        inlet = pylsl.StreamInlet(found)
        while not outlet.is_heard:
            assert running.poll() is None
            inlet.pull_sample(timeout=1)
        for path in ("rose/1.png", "sky/rose/2.png", "rose.png"):
            outlet.publish({"event": "presentation", "image": path}, pylsl.local_clock())
        outlet.publish({"event": "press"}, pylsl.local_clock())
        for _ in range(100):
            inlet.pull_sample(timeout=1)
    finally:
        running.send_signal(end)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 0
    assert re.match(r"Sent \d+ samples\. Saw 3 images, 1 of them targets,", said)
    assert said.count("\n") == 1


def test_the_marker_stream_it_looks_for_is_ours():
    assert inspect.signature(simulate).parameters["markers"].default == MARKERS


def test_an_impossible_cap_is_refused():
    options = ["--target", "rose", "--channels", "65"]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "expected 1 to 64, got 65" in done.stderr
