"""The shapes of teardown-order, each in a module of its own; ``base`` is what they share."""
