"""Annotations of others: read from class folders, tables, COCO, Label Studio and Hugging Face, and amended."""

from brainloop.annotations.amending import write_amended
from brainloop.annotations.reading import read_annotations
from brainloop.annotations.values import Annotations, Change, Problem

__all__ = ["Annotations", "Change", "Problem", "read_annotations", "write_amended"]
