"""The command line: one module per verb, which parses, calls one use case, and renders. The only place that prints or exits."""
