"""Decoders: an epoch in, a score out, and evidence by calibration on held-out trials."""
