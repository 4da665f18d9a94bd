"""The domain: workspace → identity → spec → lifecycle."""
