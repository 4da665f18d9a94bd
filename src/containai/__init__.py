"""ContainAI: a computer of its own, on your computer, for your AI coding agent."""

__version__ = "0.1.0"
