"""`make demo`: a whole backup and restore in a terminal, with real servers and the real commands.

`story` tells it, `terminal` shows it, `proof` compares what the host held before with what it holds after.
Nothing in it is hard-coded output: every figure is measured, and a step that does not end as it must ends the demo.
"""
