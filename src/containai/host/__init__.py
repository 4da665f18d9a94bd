"""This machine: processes, files, packages, probes. The only layer that starts processes."""
