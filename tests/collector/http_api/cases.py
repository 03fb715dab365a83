"""Requests drawn from a description, and what their answers are held against: schemathesis."""

from functools import partial

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

TRUE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Operation:
    """One of a description.

    Attributes:
        cases: Make strategies: of requests as they should be, and of others.
    """

    def __init__(self, described):
        modes = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
        self.cases = [partial(described.as_strategy, generation_mode=mode) for mode in modes]

    def check(self, case, base_url):
        """Sends it, and holds the answer against the description."""
        case.call_and_validate(base_url=base_url, checks=TRUE)


def operations(described):
    """Of a description."""
    loaded = schemathesis.openapi.from_dict(described)
    return [Operation(each.ok()) for each in loaded.get_all_operations()]
