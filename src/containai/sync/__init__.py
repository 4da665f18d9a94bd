"""What is brought from a home into a data volume."""
