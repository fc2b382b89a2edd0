"""Content checks: what a stream must look like to be worth publishing. They know bytes, no hosts, no files."""
