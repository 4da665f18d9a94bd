"""Keys, host blocks, pinned host keys and sessions, for OpenSSH's own client."""
