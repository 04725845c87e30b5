"""What is known of the kernel's API, from ``rules/api/*.yaml`` and the user's own."""
