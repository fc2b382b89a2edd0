"""The campaign: every fault at every stage, judged by one checker (`judge`).

`make test` runs a fixed sample of it, `make faults` everything, with a seed of its own that is printed
(`python -m tests.faults --seed N` repeats it). Which faults there are, and how each ends, stands in
docs/faults.md, which `python -m tests.faults.report` writes from the tests.
"""
