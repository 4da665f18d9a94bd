"""ContainAI's own dockerd, beside whatever Docker the host has."""
