"""What looks are for: to train a classifier, to find wrong annotations, to review what a classifier is not sure of."""
