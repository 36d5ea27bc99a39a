"""Exports: labels, model and recordings of a study as files for others."""

from brainloop.exports.export import WHAT, export_study
from brainloop.exports.results import ImageResult, image_results

__all__ = ["WHAT", "ImageResult", "export_study", "image_results"]
