import os
import re
import subprocess
import sys
import time
import uuid

import pytest

COMMAND = [sys.executable, "-m", "brainloop", "headset"]


def headset(*words, expect=0, **env):
    done = subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wearer():
    """A synthetic wearer in a process of its own, who streams as a headset does."""
    source = f"test-{uuid.uuid4()}"
    words = ["simulate", "--target", "cats", "--source-id", source, "--markers", source, "--channels", 6]
    with subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.PIPE, text=True) as process:
        assert "Publishing" in process.stdout.readline()
        time.sleep(1)
        yield source
        process.terminate()
        process.wait(20)


def test_what_publishes_is_listed_with_its_rate_and_channels(wearer):
    (line,) = [line for line in headset("list").splitlines() if wearer in line]
    assert re.fullmatch(rf"lsl:{wearer} +250 Hz +Fp1, Fp2, Fz, .*; also Photo", line)


def test_a_headset_is_checked_channel_by_channel(wearer):
    said = headset("check", f"lsl:{wearer}", "--seconds", 5)
    assert re.search(r"6 EEG channels at 250 Hz", said)
    assert re.search(r"^rate +2(49|50)\.\d\d Hz, \d+ samples$", said, re.MULTILINE)
    assert re.search(r"^delay +\d+ ms from sample to here, jitter \d+\.\d ms$", said, re.MULTILINE)
    assert re.search(r"^gaps +0$", said, re.MULTILINE)
    assert re.search(r"^channels 6 of 6 good$", said, re.MULTILINE)
    assert re.search(r"^  Fz +good +\d+\.\d uV", said, re.MULTILINE)


def test_a_brainflow_board_is_checked_by_its_name():
    said = headset("check", "brainflow:synthetic", "--seconds", 1)
    assert "Synthetic (brainflow:synthetic): 16 EEG channels at 250 Hz" in said
    assert "too little came without a gap to judge them" in said


def test_where_nothing_publishes_it_is_said_what_to_see_to(tmp_path):
    alone = tmp_path / "lsl_api.cfg"
    alone.write_text(f"[lab]\nSessionID = {uuid.uuid4()}\n")
    said = headset("list", "--wait", 0.5, LSLAPICFG=str(alone))
    assert "No headset publishes EEG by LSL" in said
    assert "KnownPeers" in said
    assert "No headset publishes EEG by LSL" in headset("check", expect=1, LSLAPICFG=str(alone))
