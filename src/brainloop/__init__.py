"""brainloop trains an image classifier from the glances of a person.

import brainloop as bl

study = bl.Study.create("cars", images="photographs", target="sports_car", recordings=["sub-01_eeg.fif"])
for done in bl.run(study):
    print(done.number, done.looks, done.auc)
bl.write_report(study)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brainloop.decoder.decoder import BrainDecoder
    from brainloop.errors import BrainloopError
    from brainloop.loop import run
    from brainloop.observers.observer import Observer
    from brainloop.prediction import predict
    from brainloop.presentation.block import Block, Response
    from brainloop.report import write_report
    from brainloop.settings import Settings
    from brainloop.store import Round
    from brainloop.study import Study

__version__ = "0.1.0"

__all__ = [
    "Block",
    "BrainDecoder",
    "BrainloopError",
    "Observer",
    "Response",
    "Round",
    "Settings",
    "Study",
    "predict",
    "run",
    "write_report",
]

_HOMES = {
    "Block": "presentation.block",
    "BrainDecoder": "decoder.decoder",
    "BrainloopError": "errors",
    "Observer": "observers.observer",
    "Response": "presentation.block",
    "Round": "store",
    "Settings": "settings",
    "Study": "study",
    "predict": "prediction",
    "run": "loop",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    # Late, so that `brainloop --help` does not wait for what it does not use.
    if name in _HOMES:
        return getattr(import_module(f"brainloop.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'brainloop' has no attribute {name!r}")
