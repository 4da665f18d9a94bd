"""For all levels: a failed assertion of the harness shows its values, as those of tests do."""

import pytest

pytest.register_assert_rewrite("harness")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--runtime",
        choices=["embedded", "sysbox"],
        default="embedded",
        help="what starts the boxes of system tests; a Sysbox has to be here (harness/runtimes.py)",
    )
