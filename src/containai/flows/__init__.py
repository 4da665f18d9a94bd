"""What a command does from end to end. Nothing here writes: it speaks through a Ui."""
