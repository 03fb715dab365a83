"""The policy of a catalog."""

import pytest

from footfall_processors import Policy
from processors.policies import CATALOG


@pytest.fixture
def policy():
    return Policy(CATALOG)
