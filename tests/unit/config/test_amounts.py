import pytest

from containai.config import amounts
from containai.config.amounts import ALL, AUTO, NONE, Amount

HALF = Amount(percent=50)


@pytest.mark.parametrize(
    ("limit", "users", "lower"),
    [
        (Amount(2), NONE, True),
        (HALF, NONE, True),
        (AUTO, NONE, True),
        (NONE, NONE, False),
        (NONE, Amount(2), False),
        (ALL, NONE, False),
        (Amount(2), Amount(2), True),
        (Amount(3), Amount(2), False),
        (HALF, Amount(percent=60), True),
        (Amount(percent=60), HALF, False),
        (AUTO, AUTO, True),
        (HALF, AUTO, True),
        (Amount(percent=51), AUTO, False),
        (Amount(4), AUTO, True),
        (Amount(5), AUTO, False),
        # Only the machine knows which is less.
        (HALF, Amount(2), False),
        (Amount(2), HALF, False),
        (AUTO, Amount(2), False),
        (AUTO, HALF, False),
    ],
)
def test_what_leaves_no_more_on_any_machine(limit, users, lower):
    assert amounts.lowers(limit, users, enough=4) is lower
