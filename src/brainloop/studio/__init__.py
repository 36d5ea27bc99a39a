"""The studio: a local web application in which a person looks, and sees the classifier learn."""
