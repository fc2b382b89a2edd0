"""Standard output and standard error. rich is loaded for a terminal alone: elsewhere text goes out as it is."""

import os
import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# by them rich can be told of a terminal where there is none
_CLAIMS = ("FORCE_COLOR", "TTY_COMPATIBLE")
# what a terminal would obey, or show in another order than it stands
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` with every character that could steer a terminal shown as its escape."""
    return text if text.isprintable() else _UNSAFE.sub(lambda m: repr(m[0])[1:-1], text)


class Screen:
    """One of the two streams."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @property
    def stream(self) -> TextIO:
        """Where the text goes."""
        return sys.stderr if self._stderr else sys.stdout

    @cached_property
    def console(self) -> "Console":
        """The stream in colour and in lines that fit."""
        from rich.console import Console

        return Console(stderr=self._stderr, highlight=False, markup=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it."""
        claimed = "console" in vars(self) or any(name in os.environ for name in _CLAIMS)
        return (claimed or self.stream.isatty()) and self.console.is_terminal

    @property
    def width(self) -> int:
        """In characters, of a terminal."""
        return self.console.width

    def put(self, *parts: tuple[str, str], fit: bool = False) -> None:
        """One line, of texts and their styles; on a terminal with `fit` its words stay whole."""
        if not self.is_terminal:
            self.stream.write("".join(text for text, _ in parts) + "\n")
            self.stream.flush()
            return
        from rich.text import Text

        self.console.print(Text.assemble(*parts), soft_wrap=not fit)
