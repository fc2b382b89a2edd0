"""One suite for every source kind in the registry."""
