"""Words in, words out: one small module a command, no decisions."""
