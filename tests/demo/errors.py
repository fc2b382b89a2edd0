"""The one error of the demo."""


class DemoError(RuntimeError):
    """A step did not end as it must. `message` says which and how, `hint` what to look at next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
