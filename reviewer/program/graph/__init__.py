"""Who comes to a function, holding what, and what it reaches."""
