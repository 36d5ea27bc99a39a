import json
import os
import queue
import resource
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import numpy as np
import pytest

from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.recorder import Recorder, read_session
from brainloop.errors import RecordingError

SFREQ = 500.0
INFO = HeadsetInfo("tape:1", "Tape", ("Fz", "Pz"), ("light",), SFREQ)


class Tape:
    """A source of samples: given chunks, one a pull."""

    def __init__(self, chunks=(), info=INFO):
        self.info = info
        self.chunks = queue.SimpleQueue()
        for chunk in chunks:
            self.chunks.put(chunk)

    def pull(self):
        try:
            chunk = self.chunks.get_nowait()
        except queue.Empty:
            return Chunk(np.zeros(0), np.zeros((3, 0), dtype=np.float32), local_clock())
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self):
        pass


def chunks_of(times, size=50):
    rng = np.random.default_rng(0)
    data = rng.normal(0, 1e-5, (3, len(times))).astype(np.float32)
    cuts = range(size, len(times), size)
    return [Chunk(*pair) for pair in zip(np.split(times, cuts), np.split(data, cuts, axis=1), strict=True)]


def wait_for(what, seconds=10.0):
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.005)
    assert what()


def joined(chunks):
    return np.concatenate([c.times for c in chunks]), np.concatenate([c.data for c in chunks], axis=1)


def test_what_was_recorded_is_read_back_to_the_bit(tmp_path):
    chunks = chunks_of(100 + np.arange(1000) / SFREQ)
    recorder = Recorder(tmp_path / "s", {"person": "ann"}, Tape(chunks))
    recorder.start()
    recorder.event("press", 101.5)
    recorder.event("block", 102.0, block=3, phase="study")
    wait_for(lambda: recorder.status.samples == 1000)
    recorder.close()
    session = read_session(tmp_path / "s")
    times, data = joined(chunks)
    np.testing.assert_array_equal(session.times, times)
    np.testing.assert_array_equal(session.data, data)
    assert (session.about, session.info) == ({"person": "ann"}, INFO)
    assert session.events == [
        {"event": "press", "t": 101.5},
        {"event": "block", "t": 102.0, "block": 3, "phase": "study"},
    ]


def test_who_subscribes_gets_every_chunk_after_it_is_on_disk(tmp_path):
    tape = Tape()
    recorder = Recorder(tmp_path / "s", {}, tape)
    listener = recorder.subscribe()
    recorder.start()
    sent = chunks_of(100 + np.arange(200) / SFREQ, size=10)
    for number, chunk in enumerate(sent, 1):
        tape.chunks.put(chunk)
        got = listener.get(timeout=5)
        np.testing.assert_array_equal(got.data, chunk.data)
        assert len(read_session(tmp_path / "s").times) >= number * 10
    recorder.close()


def test_gaps_are_counted_and_written_down(tmp_path):
    times = np.concatenate([100 + np.arange(500) / SFREQ, 101.5 + np.arange(500) / SFREQ])
    recorder = Recorder(tmp_path / "s", {}, Tape(chunks_of(times)))
    recorder.start()
    wait_for(lambda: recorder.status.samples == 1000)
    recorder.close()
    assert (recorder.status.gaps, recorder.status.lost_s) == (1, pytest.approx(0.5))
    (event,) = read_session(tmp_path / "s").events
    assert event == {"event": "gap", "t": 101.5, "lost_s": pytest.approx(0.5)}


def test_silence_and_return_are_written_down(tmp_path):
    tape = Tape(chunks_of(100 + np.arange(10) / SFREQ))
    recorder = Recorder(tmp_path / "s", {}, tape)
    recorder.start()
    wait_for(lambda: recorder.status.state == "streaming" and recorder.status.samples == 10)
    wait_for(lambda: recorder.status.state == "silent")
    wait_for(lambda: read_session(tmp_path / "s").events)
    for chunk in chunks_of(110 + np.arange(10) / SFREQ):
        tape.chunks.put(chunk)
    wait_for(lambda: recorder.status.state == "streaming")
    recorder.close()
    assert recorder.status.state == "closed"
    assert [event["event"] for event in read_session(tmp_path / "s").events] == ["lost", "gap", "back"]


@pytest.mark.parametrize(
    "error", [RecordingError("the amplifier is gone for good"), RuntimeError("driver: 0x80004005")]
)
def test_a_headset_that_fails_is_told_of_and_events_go_on(tmp_path, error):
    recorder = Recorder(tmp_path / "s", {}, Tape([*chunks_of(100 + np.arange(10) / SFREQ), error]))
    recorder.start()
    wait_for(lambda: recorder.status.state == "failed")
    assert recorder.status.error == str(error)
    recorder.event("press", 101.0)
    recorder.close()
    session = read_session(tmp_path / "s")
    assert len(session.times) == 10
    assert session.events == [{"event": "press", "t": 101.0}]


def test_events_are_recorded_without_a_headset(tmp_path):
    recorder = Recorder(tmp_path / "s", {"mode": "keyboard"}, None)
    recorder.start()
    recorder.event("press", 1.0)
    assert recorder.status.state == "streaming"
    recorder.close()
    session = read_session(tmp_path / "s")
    assert (session.info, len(session.times), session.events) == (None, 0, [{"event": "press", "t": 1.0}])


def test_without_a_folder_nothing_is_written_and_the_last_seconds_are_there():
    chunks = chunks_of(100 + np.arange(10_000) / SFREQ, size=100)
    recorder = Recorder(None, {}, Tape(chunks))
    recorder.start()
    wait_for(lambda: recorder.status.samples == 10_000)
    recent = recorder.recent(4.0)
    status = recorder.status
    recorder.close()
    times, data = joined(chunks)
    np.testing.assert_array_equal(recent.times, times[-2001:])
    np.testing.assert_array_equal(recent.data, data[:, -2001:])
    assert status.rate == pytest.approx(SFREQ)
    assert status.last == times[-1]
    assert len(recorder.recent(60.0).times) <= 5200


def test_a_folder_that_holds_a_recording_is_not_recorded_over(tmp_path):
    Recorder(tmp_path / "s", {}, None).close()
    with pytest.raises(RecordingError, match="holds a recording already"):
        Recorder(tmp_path / "s", {}, None)


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_rows_and_lines_that_are_torn_are_left_out(tmp_path, cut):
    recorder = Recorder(tmp_path / "s", {}, Tape(chunks_of(100 + np.arange(100) / SFREQ)))
    recorder.start()
    recorder.event("press", 100.0)
    recorder.event("press", 101.0)
    wait_for(lambda: recorder.status.samples == 100)
    recorder.close()
    for name in ("samples.f32", "times.f64", "events.jsonl"):
        os.truncate(tmp_path / "s" / name, (tmp_path / "s" / name).stat().st_size - cut - 1)
    session = read_session(tmp_path / "s")
    assert len(session.times) == session.data.shape[1] in (98, 99)
    assert session.events == [{"event": "press", "t": 100.0}]


def test_a_folder_without_a_recording_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="expected a raw recording in"):
        read_session(tmp_path)


def test_a_kill_loses_less_than_a_second(tmp_path):
    program = """
        import sys, time
        from pathlib import Path
        import numpy as np
        from brainloop.eeg.headset import Chunk, HeadsetInfo
        from brainloop.eeg.lsl import local_clock
        from brainloop.eeg.recorder import Recorder

        class Clocked:
            info = HeadsetInfo("clocked", "Clocked", tuple(f"E{k}" for k in range(64)), (), 512.0)
            begin, given = local_clock(), 0
            def pull(self):
                n = int((local_clock() - self.begin) * 512) - self.given
                times = self.begin + (self.given + np.arange(n)) / 512
                self.given += n
                return Chunk(times, np.ones((64, n), dtype=np.float32), local_clock())

        recorder = Recorder(Path(sys.argv[1]), {}, Clocked())
        recorder.start()
        while True:
            recorder.event("press", local_clock())
            print(local_clock(), flush=True)
            time.sleep(0.01)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "s")], stdout=subprocess.PIPE, text=True
    ) as child:
        lines = [child.stdout.readline() for _ in range(100)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    killed = float(lines[-1])
    session = read_session(tmp_path / "s")
    assert killed - session.times[-1] < 1.0
    assert killed - session.events[-1]["t"] < 1.0
    np.testing.assert_allclose(np.diff(session.times), 1 / 512, atol=1e-6)
    assert np.all(session.data == 1)


@contextmanager
def small_disk(folder, size):
    """A disk of so many bytes: a tmpfs where we may mount one, else a limit on the size of files."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_of_and_what_was_recorded_stays(tmp_path):
    chunks = chunks_of(100 + np.arange(20_000) / SFREQ)
    tape = Tape(chunks)
    disk = tmp_path / "disk"
    with small_disk(disk, 128 * 1024):
        recorder = Recorder(disk / "s", {"person": "ann"}, tape)
        listener = recorder.subscribe()
        recorder.start()
        wait_for(lambda: recorder.status.state == "failed", 30)
        status = recorder.status
        recorder.event("press", 7.0)
        recorder.close()
        session = read_session(disk / "s")
        heard = listener.qsize() * 50
    assert "cannot be written" in status.error
    times, data = joined(chunks)
    n = len(session.times)
    assert 2_000 < n < 20_000
    assert status.samples == heard <= n
    np.testing.assert_array_equal(session.times, times[:n])
    np.testing.assert_array_equal(session.data, data[:, :n])


def test_an_event_that_a_full_disk_tore_takes_no_other_along(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, 64 * 1024):
        recorder = Recorder(disk / "s", {}, None)
        for number in range(2000):
            recorder.event("press", float(number), why="x" * 40)
        torn = len(read_session(disk / "s").events)
        assert recorder.status.state == "failed"
        os.truncate(disk / "s" / "events.jsonl", (disk / "s" / "events.jsonl").stat().st_size - 8192)
        recorder.event("press", 5000.0)
        recorder.close()
        events = read_session(disk / "s").events
    assert torn < 2000
    assert events[-1] == {"event": "press", "t": 5000.0}
    text = [json.dumps(event) for event in events]
    assert len(set(text)) == len(text)
