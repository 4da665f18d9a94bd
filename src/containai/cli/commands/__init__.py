"""One module a command: `arguments` describes it to argparse, `run` does it."""
