"""Which bytes, at which revision."""
