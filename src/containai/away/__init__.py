"""Boxes on remote places: what such a place can do, how Incus does it, and what is known of them.

What is special to a place is in its driver (`place.py` says what that is, `incus.py` is one); all
else of a box, ssh above all, is as with a box of this machine.
"""
