"""One file per rule id."""
