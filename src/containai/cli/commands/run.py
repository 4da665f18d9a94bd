"""`cai run [PATH] [-- COMMAND…]`."""

import argparse

from containai.cli import shared


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.usage = (
        "cai run [--name NAME] [--memory SIZE] [--cpus NUMBER] [--force] [--yes] "
        "[--skip-mounts] [PATH] [-- COMMAND …]"
    )
    parser.epilog = (
        "Everything after -- reaches the command exactly; its exit code is cai's. "
        "Without a COMMAND the configured agent is started."
    )
    shared.workspace_arguments(parser)
    shared.start_arguments(parser, "run")


def run(arguments: argparse.Namespace) -> int:
    """Run the command, or the agent, in the workspace's box. Does not return when it works."""
    return shared.session(arguments, arguments.command or _agent(arguments))


def _agent(arguments: argparse.Namespace) -> list[str]:
    from containai import agents
    from containai.layout import Layout

    settings = shared.settings_of(Layout.from_environment(), arguments)
    return agents.start_command(settings.agent_default)
