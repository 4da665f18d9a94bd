"""What runs in the box, sent there as text."""
