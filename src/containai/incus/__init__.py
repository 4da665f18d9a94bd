"""A client of Incus over its REST API, of Python's library only: no program of Incus is needed.

It speaks HTTP/1.1 over TLS 1.3 to a server whose certificate is pinned. Facts are those of Incus
6.0.4 to 7.0, read from its sources (github.com/lxc/incus) and its documentation; what differs
between them is decided by the answer, or by `api_extensions`, never by a version.
"""
