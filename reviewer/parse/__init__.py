"""One file at a time, pure, with no knowledge of the kernel's API."""
