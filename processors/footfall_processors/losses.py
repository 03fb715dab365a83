"""Why something that arrived was not stored: the vocabulary of the loss ledger."""

from enum import StrEnum


class Loss(StrEnum):
    """A reason under which a loss is counted.

    The first group concerns whole events, the second single attributes of an event that is stored.
    """

    UNDECLARED_EVENT = "undeclared_event"
    UNDECLARED_ACTION = "undeclared_action"
    EXPIRED_EVENT = "expired_event"
    OUT_OF_WINDOW = "out_of_window"
    LOOP = "loop"
    MALFORMED = "malformed"
    BODY = "body"
    UNSUPPORTED_METRIC = "unsupported_metric"
    DEPRECATED_ENCODING = "deprecated_encoding"
    COUNTER_BASELINE = "counter_baseline"
    COUNTER_RESET = "counter_reset"
    COUNTER_LIMIT = "counter_limit"
    FRACTION = "fraction"
    REPEATED_WITHOUT_ID = "repeated_without_id"
    DUPLICATE_SPAN = "duplicate_span"
    REFUSED_BY_STORE = "refused_by_store"
    UNREADABLE_IN_SPOOL = "unreadable_in_spool"

    UNDECLARED_ATTRIBUTE = "undeclared_attribute"
    DUPLICATE_ATTRIBUTE = "duplicate_attribute"
    ENUM_VALUE = "enum_value"
    WRONG_TYPE = "wrong_type"
    SALT_MISSING = "salt_missing"
    RESOURCE_VALUE = "resource_value"
    RESOURCE_UNLISTED = "resource_unlisted"
    RESOURCE_PERSONAL = "resource_personal"
    RESOURCE_LIMIT = "resource_limit"

    __hash__ = str.__hash__  # Enum's own is a Python function, too slow for the hot path


REJECTED = frozenset({Loss.EXPIRED_EVENT, Loss.OUT_OF_WINDOW, Loss.LOOP, Loss.MALFORMED, Loss.BODY})
"""Losses that a sender is told about in `partial_success`: the event is declared, yet refused.

What nobody declared is foreign traffic, expected and dropped without complaint.
"""
