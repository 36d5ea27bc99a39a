"""How a store's tables became what they are: one file a version, carried out by Alembic."""
