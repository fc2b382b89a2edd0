"""The one error of the laboratory."""


class LabError(RuntimeError):
    """A server of the laboratory did not do what it was asked; the message shows its log."""
