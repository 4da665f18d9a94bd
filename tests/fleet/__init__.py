"""Two servers of Incus as a cluster, on this machine."""
