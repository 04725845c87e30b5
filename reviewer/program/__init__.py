"""One revision, linked."""
