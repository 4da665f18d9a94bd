"""Probes that run on the host, over facts.Facts. Pure: no box can lie to them."""
