"""Collections: images beyond memory, in shards, on this machine's disk or in an object store."""

from brainloop.collection.collection import Collection, is_collection
from brainloop.collection.drawing import draw
from brainloop.collection.embedding import embed_collection
from brainloop.collection.ranking import Ranking, rank
from brainloop.collection.scanning import scan_collection

__all__ = ["Collection", "Ranking", "draw", "embed_collection", "is_collection", "rank", "scan_collection"]
