"""Markers as LSL streams: ours for a lab's own recorder."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["MARKERS", "MarkerOutlet"]

MARKERS = "brainloop-markers"
"""Name of the stream that every presentation and key press is published on."""


class MarkerOutlet:
    """Publishes what happens, when it happened: a string stream of type Markers, one JSON object a sample.

    Parameters
    ----------
    source_id : str
        Of the stream: the same after a restart, so that whoever records it goes on, and nobody else's.
    name : str
        Of the stream.
    """

    def __init__(self, source_id: str, name: str = MARKERS) -> None:
        import pylsl

        info = pylsl.StreamInfo(name, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, source_id)
        info.desc().append_child_value("manufacturer", "brainloop")
        self._outlet = pylsl.StreamOutlet(info)

    def publish(self, event: Mapping[str, Any], onset: float) -> None:
        """Publish an event.

        Parameters
        ----------
        event : mapping
            JSON.
        onset : float
            When it happened, s of `pylsl.local_clock`; the sample's timestamp.
        """
        self._outlet.push_sample([json.dumps(event, allow_nan=False)], onset)

    @property
    def is_heard(self) -> bool:
        """Whether anybody records it."""
        return bool(self._outlet.have_consumers())

    def close(self) -> None:
        """End the stream."""
        del self._outlet
