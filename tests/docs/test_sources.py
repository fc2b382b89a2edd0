"""docs/sources.md says what the source kinds say of themselves."""

from tests.docs.sources import TARGET, document


def test_the_reference_is_up_to_date() -> None:
    """docs/sources.md is what `python -m tests.docs.sources` writes."""
    assert TARGET.read_text() == document(), "run: python -m tests.docs.sources"
