"""The escape self-test: probes of what must not be possible in a box.

`inside` are sent into the box and run there, `outside` look at it from the host and trust nothing
that comes out of it. Nothing is exploited: a probe looks whether a precondition is there.
"""
