"""Where maintainers meet it: mails in a thread, the protocols of their tools."""
