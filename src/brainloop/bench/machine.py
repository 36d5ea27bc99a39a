"""What machine the figures are of."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

__all__ = ["machine"]


def machine() -> dict[str, str | int]:
    """Name the processor, the cores that this process may use, and the versions that decide the speed."""
    model = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        names = [
            line.split(":", 1)[1].strip() for line in facts.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = {name: version(name) for name in ("brainloop", "numpy", "onnxruntime")}
    return {"processor": model, "cores": cores, "python": platform.python_version(), **versions}
