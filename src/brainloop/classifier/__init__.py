"""What is trained: a head on the embeddings of a frozen backbone, and the query of what to show next."""
