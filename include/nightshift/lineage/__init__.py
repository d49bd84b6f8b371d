"""Which code, data and environment determine a model."""
