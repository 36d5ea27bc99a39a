"""How images are shown: the block as a value, its composition, and the response to each presentation."""
