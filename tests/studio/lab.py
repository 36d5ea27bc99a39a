"""What else a lab has running beside the studio, each a process of its own: run by `conftest`, never imported.

lab.py markers            print every marker that the studio publishes, a JSON object a line
lab.py wearer SOURCE_ID   publish a synthetic wearer who has the troubles that come on stdin: `gap 0.3`, `drop 3`,
                          `jump 0.4`, each in seconds; say each back once it is on its way
"""

import sys
from pathlib import PurePosixPath

SEED, P300, CHANNELS = 1, 60e-6, 8
"""The wearer that `brainloop headset simulate --seed 1 --p300 60 --misses 0` publishes."""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def markers() -> None:
    """Print what comes, for ever."""
    import pylsl

    found = []
    while not found:
        found = pylsl.resolve_byprop("name", "brainloop-markers", timeout=1.0)
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(timeout=10.0)
    say("listening")
    while True:
        sample, _ = inlet.pull_sample(timeout=0.5)
        if sample:
            say(sample[0])


def wearer(source_id: str) -> None:
    """Publish until stdin ends."""
    from brainloop.eeg.scalp import CAP
    from brainloop.eeg.synthetic import SyntheticWearer
    from brainloop.eeg.wearer_stream import WearerStream

    who = SyntheticWearer(SEED, p300=P300, misses=0.0, channels=CAP[:CHANNELS])
    with WearerStream(
        who, lambda path: "sunset" in PurePosixPath(path).parts[:-1], name=source_id, source_id=source_id
    ) as stream:
        say("publishing")
        for line in sys.stdin:
            trouble, seconds = line.split()
            getattr(stream, trouble)(float(seconds))
            say(line.strip())


if __name__ == "__main__":
    {"markers": markers, "wearer": wearer}[sys.argv[1]](*sys.argv[2:])
