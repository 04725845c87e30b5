"""What runs beside what: contexts, guards, lifetimes, waits and orders."""
