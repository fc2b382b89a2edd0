"""The command line. One module per verb: parse, call one use case, render. The only place that prints or exits."""
