"""Where maintainers meet it: the git hook, mail."""
