"""`make bench`: how fast, how large, and how that compares; never part of a timed test."""
