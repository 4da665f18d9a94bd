"""Sizes as people say them."""


def size(count: int) -> str:
    """Return a size in powers of ten, as Docker does."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
