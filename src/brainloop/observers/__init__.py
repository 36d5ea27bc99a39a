"""Who looks: a block in, one response a presentation out."""
