"""What goes on between a host and a pull: compression, low priority, and a limit to the rate."""
