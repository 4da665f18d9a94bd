"""cai-runc: an OCI runtime that gives containers an id range of their own and hands over to runc.

Standard library only: it runs as root on the system's Python, apart from the rest of ContainAI.
"""
