"""``python -m brainloop`` is ``brainloop``."""

from brainloop.cli import main

main()
