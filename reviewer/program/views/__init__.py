"""What the verbs beside the checks ask for: contexts, graphs, reliance, a full store."""
