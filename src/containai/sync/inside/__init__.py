"""What runs in a box, or beside its volume, sent as text."""
