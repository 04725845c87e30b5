"""The shapes of unguarded-access, each in a module of its own; ``guarding`` and ``outside`` are what they share."""
