import itertools
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall_processors import ERROR_TYPES, error_type, normalise

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
REQUIRED = {
    "provider_unavailable",
    "provider_timeout",
    "invalid_preset",
    "permission_denied",
    "unexpected_error",
}
BUILT_IN = REQUIRED | {"timeout"}


class PresetNotFound(Exception):
    pass


class OddPreset(PresetNotFound):
    pass


@pytest.mark.requirement("A4")
def test_the_error_types_are_those_of_the_requirements():
    assert set(ERROR_TYPES) == BUILT_IN > REQUIRED


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        *((name, name) for name in sorted(BUILT_IN)),
        ("TimeoutError", "timeout"),
        ("trio.TooSlowError", "timeout"),
        ("aiohttp.ServerTimeoutError", "provider_timeout"),
        ("httpx.ReadTimeout", "provider_timeout"),
        ("discord.errors.DiscordServerError", "provider_unavailable"),
        ("requests.exceptions.Timeout", "provider_timeout"),
        ("deadline_exceeded", "provider_timeout"),
        ("504", "provider_timeout"),
        ("503", "provider_unavailable"),
        ("aiohttp.client_exceptions.ClientConnectionError", "provider_unavailable"),
        ("socket.gaierror", "provider_unavailable"),
        ("401", "permission_denied"),
        ("403", "permission_denied"),
        ("discord.errors.Forbidden", "permission_denied"),
        ("404", "unexpected_error"),
        ("500", "unexpected_error"),
        ("ValueError", "unexpected_error"),
        ("", "unexpected_error"),
        ("alice@example.com was refused", "unexpected_error"),
    ],
)
def test_a_foreign_error_type_becomes_a_built_in_one(sent, kept):
    assert normalise(sent) == kept


def test_error_types_of_the_catalog_are_kept_only_when_declared():
    assert normalise("seed_exhausted", ["seed_exhausted"]) == "seed_exhausted"
    assert normalise("seed_exhausted") == "unexpected_error"


@pytest.mark.parametrize("sent", ["400", "404", "422", "499"])
def test_a_refused_request_is_a_bad_one_where_the_catalog_declares_that(sent):
    assert normalise(sent, ["bad_request"]) == "bad_request"
    assert normalise("403", ["bad_request"]) == "permission_denied"
    assert normalise("500", ["bad_request"]) == "unexpected_error"


@settings(PATIENT)
@given(st.text(st.characters()), st.lists(st.sampled_from(["seed_exhausted", "bad_rom"])))
def test_nothing_but_declared_error_types_comes_out(sent, extra):
    assert normalise(sent, extra) in {*BUILT_IN, *extra}


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (TimeoutError("42"), "timeout"),
        (ConnectionRefusedError(), "provider_unavailable"),
        (socket.gaierror(), "provider_unavailable"),
        (PermissionError("/home/alice"), "permission_denied"),
        (ValueError("alice@example.com"), "unexpected_error"),
        (KeyboardInterrupt(), "unexpected_error"),
    ],
)
def test_an_exception_is_known_by_its_class_or_a_base_class(error, kept):
    assert error_type(error) == kept


def test_the_message_of_an_exception_is_never_read():
    class Unreadable(TimeoutError):
        def __str__(self):
            raise AssertionError("the message was read")

        __repr__ = __str__

    assert error_type(Unreadable()) == "timeout"


def test_the_applications_mapping_covers_subclasses():
    mapping = {PresetNotFound: "invalid_preset"}
    assert error_type(OddPreset(), mapping) == "invalid_preset"
    assert error_type(OddPreset()) == "unexpected_error"


def test_the_applications_mapping_goes_before_well_known_names():
    assert error_type(TimeoutError(), {TimeoutError: "bad_rom"}) == "bad_rom"


def test_the_most_specific_class_decides():
    mapping = {PresetNotFound: "invalid_preset", OddPreset: "permission_denied"}
    assert error_type(OddPreset(), mapping) == "permission_denied"
    assert error_type(ConnectionResetError(), {OSError: "bad_rom"}) == "provider_unavailable"


def chained(*errors):
    for error, cause in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def test_an_unknown_exception_is_known_by_its_cause():
    assert error_type(chained(ValueError(), KeyError(), TimeoutError())) == "timeout"


def test_the_exception_itself_goes_before_its_cause():
    assert error_type(chained(PermissionError(), TimeoutError())) == "permission_denied"


def test_what_was_merely_being_handled_is_no_cause():
    error = ValueError()
    error.__context__ = TimeoutError()
    assert error_type(error) == "unexpected_error"


def test_circular_causes_end():
    error = ValueError()
    assert error_type(chained(error, KeyError(), error)) == "unexpected_error"
    error.__cause__.__cause__ = None  # leave no cycle behind


def test_an_endless_chain_of_causes_is_cut_off():
    assert error_type(chained(*(ValueError() for _ in range(500)), TimeoutError())) == (
        "unexpected_error"
    )
