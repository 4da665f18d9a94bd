"""One module a command: its row, COMMANDS, and what it does. Words in, words out."""
