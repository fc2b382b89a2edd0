"""Whether `wire = "auto"` has a host compress: only where the link is what holds a pull up. Pure."""

from dataclasses import dataclass

# below, a pull takes seconds whatever is done
LEAST_BYTES = 32 << 20
LEAST_RATIO = 1.5
# above, one compressor at work on the host would hardly be ahead of the link
FAST_BYTES_PER_S = 100e6
# from here on the link alone accounts for the time that a pull took
SHARE = 0.5


@dataclass(frozen=True)
class Past:
    """The last good snapshot of a source. Sizes in bytes before and after compression; seconds that its pull took."""

    plain_bytes: int
    stored_bytes: int
    took_s: float


@dataclass(frozen=True)
class Choice:
    """Whether the host compresses, by which zstd, and why; an empty reason where there is nothing to say."""

    packed: bool
    reason: str = ""
    zstd: str | None = None


def may_pay(past: Past | None) -> bool:
    """Whether the link is worth a measurement: the stream is long, and compresses."""
    return (
        past is not None
        and past.plain_bytes >= LEAST_BYTES
        and past.plain_bytes >= past.stored_bytes * LEAST_RATIO
        and past.took_s > 0
    )


def by_link(past: Past, bytes_per_s: float) -> Choice:
    """The choice by the rate that the link makes today.

    The link's own time for the plain bytes is compared with what the last pull took, compressed or not: a dump that is
    slower than the link gains nothing from a compressor.
    """
    rate, alone_s = f"{bytes_per_s / 1e6:.1f} MB/s", past.plain_bytes / bytes_per_s
    if bytes_per_s >= FAST_BYTES_PER_S:
        return Choice(False, f"not compressed on the wire: the link makes {rate}")
    compared = f"{rate}, {alone_s:.0f} s for what the last pull brought in {past.took_s:.0f} s"
    if alone_s < past.took_s * SHARE:
        return Choice(False, f"not compressed on the wire, the dump is slower than the link: it makes {compared}")
    return Choice(True, f"compressed on the wire: the link makes {compared}")
