"""Where maintainers meet it: the git hook, mails in a thread, the protocols of their tools."""
