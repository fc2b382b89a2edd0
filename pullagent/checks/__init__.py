"""Content checks: what a stream must look like to be worth publishing. They know of bytes alone, not of hosts or files."""
