"""pullagent: pulls database dumps over SSH into an encrypted, dated store."""

__version__ = "0.1.0"
