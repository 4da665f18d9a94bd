"""The error of this runtime."""


class RuntimeRefusal(Exception):  # noqa: N818 - an answer to the engine, not a fault of ours
    """The container cannot be created; the text says why and goes to the engine."""
