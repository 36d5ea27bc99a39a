"""From files to embeddings: the pool, safe decoding, backbones, and the cache of their vectors."""
