"""Tests of single modules, without servers and without a network."""
