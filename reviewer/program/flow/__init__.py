"""What happens in a function and in those that it calls, path by path."""
