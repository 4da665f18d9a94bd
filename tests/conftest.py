"""For all levels: a failed assertion of the harness shows its values, as those of tests do."""

import pytest

pytest.register_assert_rewrite("harness")
