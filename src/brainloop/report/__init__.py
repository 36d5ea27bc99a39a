"""What a study came to: figures, galleries, and one HTML file that needs nothing else."""

from brainloop.report.figures import save_png
from brainloop.report.html import write_report

__all__ = ["save_png", "write_report"]
