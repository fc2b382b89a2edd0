"""`python -m pullagent`: the same program as the `pullagent` command."""

from pullagent.cli.app import main

if __name__ == "__main__":
    main()
