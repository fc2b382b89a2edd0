"""`python -m pullagent`: the same program as the `pullagent` command."""

import signal


def main() -> None:
    """Run the command line. The imports take a moment, in which Ctrl-C must end it without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pullagent.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
