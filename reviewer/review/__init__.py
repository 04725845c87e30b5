"""What a patch series does: two programs, before and after, and what tells them apart."""
