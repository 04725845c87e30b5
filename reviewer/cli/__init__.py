"""One file per verb: options in, exit code out."""
