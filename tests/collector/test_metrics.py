import math

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.decoded import with_rules
from collector.sums import (
    CUMULATIVE,
    DAY,
    DELTA,
    HOUR_US,
    KEY,
    NOW_NS,
    NOW_US,
    SECOND,
    START,
    Request,
    counts,
    decode,
    point,
)
from footfall_exporters.contracts import Unavailable
from footfall_processors import Loss, Policy


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


def test_a_delta_counts_as_it_stands_in_the_hour_of_its_time(policy):
    batch = (
        Request()
        .delta(point(3), point(4), point(5, time=NOW_NS - 3600 * SECOND, start=START - 1))
        .decoded_by(policy)
    )
    assert counts(batch) == {
        ("shop.ping", "invoke", "ok", (), 0): 7,
        ("shop.ping", "invoke", "ok", (), -1): 5,
    }
    assert (batch.points, batch.losses, batch.signal, batch.rows) == ((), {}, "metrics", ())


def test_a_delta_needs_no_start(policy):
    assert counts(Request().delta(point(3, start=0)).decoded_by(policy)) == {
        ("shop.ping", "invoke", "ok", (), 0): 3
    }


def with_exemplars(found, *exemplars):
    """(number, hours back) pairs, as another Footfall sends what came late."""
    for number, back in exemplars:
        found.exemplars.add(time_unix_nano=NOW_NS - back * 3600 * SECOND, as_int=number)
        found.exemplars[-1].filtered_attributes.add(key="user.email").value.string_value = "a@b.c"
    return found


@pytest.mark.parametrize(
    ("exemplars", "hours", "lost"),
    [
        ([], {0: 9}, {}),
        ([(9, 30)], {30: 9}, {}),
        ([(4, 0), (3, 1), (2, 30)], {0: 4, 1: 3, 30: 2}, {}),
        ([(3, 1), (3, 1), (3, 1)], {1: 9}, {}),
        ([(4, 1)], {0: 9}, {}),  # a sample, as SDKs take them, is not all of it
        ([(9, 1), (1, 2)], {0: 9}, {}),
        ([(-1, 1), (10, 2)], {0: 9}, {}),
        ([(5, 0), (4, 24 * 8)], {0: 5}, {Loss.OUT_OF_WINDOW: 1}),
        ([(5, -1), (4, 0)], {0: 4}, {Loss.OUT_OF_WINDOW: 1}),
    ],
)
def test_exemplars_that_account_for_all_of_a_delta_say_when_it_was(policy, exemplars, hours, lost):
    sent = with_exemplars(point(9), *exemplars)
    batch = Request(footfall__origin="0123456789abcdef").delta(sent).decoded_by(policy)
    expected = {("shop.ping", "invoke", "ok", (), -back): n for back, n in hours.items()}
    assert (counts(batch), batch.losses) == (expected, lost)


def test_exemplars_count_where_the_time_of_the_delta_would_not(policy):
    """The clock of the Footfall that passes it on was hours ahead: its windows are still."""
    sent = with_exemplars(point(9, time=NOW_NS + 2 * HOUR_US * 1000), (4, 0), (5, 1))
    batch = Request(footfall__origin="0123456789abcdef").delta(sent).decoded_by(policy)
    expected = {("shop.ping", "invoke", "ok", (), -back): n for back, n in ((0, 4), (1, 5))}
    assert (counts(batch), batch.losses) == (expected, {})


@pytest.mark.parametrize("back", [0, 1, 30, 24 * 30])
def test_other_senders_exemplars_are_no_part_of_the_sum(policy, back):
    batch = Request().delta(with_exemplars(point(9), (9, back))).decoded_by(policy)
    assert (counts(batch), batch.losses) == ({("shop.ping", "invoke", "ok", (), 0): 9}, {})


def test_exemplars_of_a_cumulative_counter_say_nothing(policy):
    batch = Request().sum(with_exemplars(point(9), (9, 30))).decoded_by(policy)
    assert ([p.value for p in batch.points], batch.counts) == ([9], {})


def test_declared_attributes_make_the_dimension(policy):
    batch = (
        Request(service__name="shop")
        .delta(
            point(1, feature__action="success", provider="smz3"),
            point(2, feature__action="failure", provider="smz3", error__type="TimeoutError"),
            point(4, feature__action="failure", provider="walker"),
            name="shop.order",
        )
        .decoded_by(policy)
    )
    smz3 = (("provider", "smz3"),)
    assert counts(batch) == {
        ("shop.order", "success", "ok", smz3, 0): 1,
        ("shop.order", "failure", "timeout", smz3, 0): 2,
        ("shop.order", "failure", "error", (), 0): 4,
    }
    assert {d.service for _, d in batch.counts} == {"shop"}
    assert {d.error_type for _, d in batch.counts} == {None, "timeout", "unexpected_error"}
    assert batch.losses == {Loss.ENUM_VALUE: 1}


def test_a_metric_may_carry_its_action_in_its_name(policy):
    batch = Request().delta(point(6), name="shop.order.failure").decoded_by(policy)
    assert counts(batch) == {("shop.order", "failure", "error", (), 0): 6}


def test_a_cumulative_counter_becomes_a_point_of_its_series(policy):
    batch = Request(service__instance__id="one").sum(point(41)).decoded_by(policy)
    (found,) = batch.points
    assert (found.value, found.start_us, found.time_us) == (41, START // 1000, NOW_US)
    assert found.dimension.event == "shop.ping"
    assert (len(found.stream), len(found.series)) == (16, 16)
    assert (batch.counts, batch.losses) == ({}, {})


def one_point(policy, number=1, start=START, attributes=(), **resource):
    """The point of a one-point request."""
    sent = point(number, start=start, **dict(attributes))
    batch = Request(**resource).sum(sent, name="shop.order").decoded_by(policy)
    (found,) = batch.points
    return found


def test_later_exports_of_a_counter_belong_to_the_same_series(policy):
    resource = {"service__name": "shop", "service__instance__id": "one"}
    first, second = (one_point(policy, number, **resource) for number in (1, 2))
    assert (first.stream, first.series) == (second.stream, second.series)


@pytest.mark.parametrize(
    "resource",
    [
        {"service__name": "shop", "service__instance__id": "two"},
        {"service__name": "cafe", "service__instance__id": "one"},
    ],
    ids=["another instance", "another service"],
)
def test_another_process_is_another_stream(policy, resource):
    known = one_point(policy, service__name="shop", service__instance__id="one")
    other = one_point(policy, **resource)
    assert known.stream != other.stream
    assert known.series != other.series


def test_a_restart_is_another_run_of_the_same_stream(policy):
    first, second = (
        one_point(policy, start=start, service__name="shop") for start in (START, NOW_NS - SECOND)
    )
    assert (first.stream, first.series) == (second.stream, second.series)
    assert first.start_us != second.start_us


def test_another_dimension_is_another_series_of_the_same_stream(policy):
    points = [
        one_point(policy, attributes=attributes.items())
        for attributes in (
            {},
            {"provider": "smz3"},
            {"provider": "smr"},
            {"feature__action": "failure"},
            {"feature__action": "failure", "feature__status": "denied"},
            {"feature__action": "failure", "error__type": "out_of_stock"},
        )
    ]
    assert len({p.stream for p in points}) == 1
    assert len({p.series for p in points}) == len(points)


def test_points_that_differ_only_in_what_nobody_declared_are_streams_of_their_own(policy):
    batch = (
        Request()
        .sum(
            point(5, user__email="a@example.org"),
            point(7, user__email="b@example.org", time=NOW_NS - SECOND),
            point(11, provider="smz3"),
            name="shop.order",
        )
        .decoded_by(policy)
    )
    assert [p.value for p in batch.points] == [5, 7, 11]
    assert len({p.series for p in batch.points}) == 3
    assert batch.points[0].dimension is batch.points[1].dimension
    assert batch.losses == {Loss.UNDECLARED_ATTRIBUTE: 2}
    assert not any(b"example" in p.stream + p.series for p in batch.points)


def series(policy, change=lambda request: None, key=KEY):
    """The stream and series of one point, after a change to the request."""
    request = Request(service__name="shop", host__name="a")
    request.sum(point(1, page="/a", user="x"), name="shop.order")
    change(request)
    (found,) = decode(policy, request.message.SerializeToString(), key).points
    return found.stream, found.series


def metric(request):
    return request._scope.metrics[0]


def sent_point(request):
    return metric(request).sum.data_points[0]


CHANGES = {
    "another attribute's value": lambda r: setattr(
        sent_point(r).attributes[0].value, "string_value", "/b"
    ),
    "one attribute more": lambda r: sent_point(r).attributes.add(key="z").value.SetInParent(),
    "a number in place of a text": lambda r: setattr(
        sent_point(r).attributes[0].value, "int_value", 1
    ),
    "another scope": lambda r: setattr(r._scope.scope, "name", "other"),
    "another version of the scope": lambda r: setattr(r._scope.scope, "version", "2"),
    "an attribute of the scope": lambda r: r._scope.scope.attributes.add(
        key="z"
    ).value.SetInParent(),
    "another unit": lambda r: setattr(metric(r), "unit", "s"),
    "another metric of the same event": lambda r: setattr(metric(r), "name", "shop.order.success"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_the_data_model_identifies_a_stream_by_tells_series_apart(policy, change):
    (run, known), (same_run, other) = series(policy), series(policy, change)
    assert run == same_run
    assert known != other


def test_another_resource_is_another_sender(policy):
    def change(request):
        request._group.resource.attributes.add(key="z").value.SetInParent()

    assert series(policy)[0] != series(policy, change)[0]


def test_the_order_of_attributes_tells_nothing(policy):
    def turn(request):
        for attributes in (request._group.resource.attributes, sent_point(request).attributes):
            turned = list(attributes)[::-1]
            del attributes[:]
            attributes.extend(turned)

    assert series(policy) == series(policy, turn)


def test_a_stream_is_named_under_the_stores_key_and_by_nothing_else(policy):
    assert not set(series(policy)) & set(series(policy, key=b"another key of thirty-two bytes!"))


def test_without_the_stores_key_a_cumulative_counter_has_to_come_again(policy):
    body = Request().sum(point(3)).message.SerializeToString()
    with pytest.raises(Unavailable):
        decode(policy, body, key=None)
    assert decode(policy, Request().delta(point(3)).message.SerializeToString(), key=None).counts


def test_what_is_not_a_declared_counter_is_dropped_without_complaint(policy):
    batch = (
        Request()
        .sum(point(1), point(2), name="http.server.requests")
        .other("histogram", name="http.server.duration")
        .other("gauge", point(20), name="process.memory")
        .decoded_by(policy)
    )
    assert (batch.counts, batch.points) == ({}, ())
    assert batch.losses == {Loss.UNDECLARED_EVENT: 4}
    assert batch.rejected == 0


def test_a_metric_is_not_matched_by_rules_lest_a_request_is_counted_twice(catalog):
    said = {"http__route": "/orders/{id}", "http__request__method": "GET"}
    batch = (
        Request()
        .delta(point(3, **said), name="http.server.requests")
        .delta(point(3, **said), name="GET /ping")
        .delta(point(3, **said), name="survey 1")
        .other("histogram", name="http.server.request.duration")
        .decoded_by(with_rules(catalog))
    )
    assert (batch.counts, batch.points) == ({}, ())
    assert batch.losses == {Loss.UNDECLARED_EVENT: 4}


def test_a_declared_name_on_another_kind_of_metric_is_no_count(policy):
    batch = (
        Request()
        .other("gauge", point(3), point(4))
        .other("histogram")
        .other("exponential_histogram")
        .other("summary")
        .sum(point(5), monotonic=False)
        .decoded_by(policy)
    )
    assert (batch.counts, batch.points) == ({}, ())
    assert batch.losses == {Loss.UNSUPPORTED_METRIC: 6}


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
@pytest.mark.parametrize("number", [-1, -0.5, math.nan, math.inf, -math.inf, 1e300, 10**12 + 1])
def test_a_number_that_cannot_be_a_count_is_refused(policy, temporality, number):
    batch = Request().sum(point(number), point(2), temporality=temporality).decoded_by(policy)
    assert batch.losses == {Loss.MALFORMED: 1}
    assert batch.rejected == 1
    assert sum(batch.counts.values()) + sum(p.value for p in batch.points) == 2


@pytest.mark.parametrize(
    ("number", "kept"),
    [(0, 0), (2.0, 2), (2.6, 2), (sum([0.1] * 10), 1), (10**12, 10**12)],
)
def test_a_cumulative_counter_has_counted_what_is_whole_of_it(policy, number, kept):
    batch = Request().sum(point(number)).decoded_by(policy)
    assert ([p.value for p in batch.points], batch.losses) == ([kept], {})


def test_the_fraction_of_a_delta_is_a_loss(policy):
    batch = Request().delta(point(2.5), point(3.0), point(sum([0.1] * 10))).decoded_by(policy)
    assert counts(batch) == {("shop.ping", "invoke", "ok", (), 0): 6}
    assert (batch.losses, batch.rejected) == ({Loss.FRACTION: 1}, 0)


def test_fractions_of_a_request_are_added_up_first(policy):
    batch = Request().delta(*[point(0.1)] * 10, point(0.5), point(0.75)).decoded_by(policy)
    assert counts(batch) == {("shop.ping", "invoke", "ok", (), 0): 2}
    assert batch.losses == {Loss.FRACTION: 1}
    assert sum(sum(d.hours.values()) for d in batch.deltas) == 2


def test_integers_and_doubles_of_a_stream_are_one_series(policy):
    def as_double(request):
        sent_point(request).as_double = 1.0

    assert series(policy) == series(policy, as_double)


@pytest.mark.parametrize(
    ("start", "time", "unknown"),
    [
        (0, NOW_NS, True),
        (NOW_NS, NOW_NS, True),
        (NOW_NS + 1, NOW_NS + 2, False),  # the same microsecond
        (NOW_NS + 3600 * SECOND, NOW_NS, False),  # a clock that was set back
        (START, NOW_NS, False),
    ],
    ids=["none", "equal to the time", "just before it", "after it", "before it"],
)
def test_a_start_that_is_missing_or_equal_to_the_time_is_unknown(policy, start, time, unknown):
    batch = Request().sum(point(3, start=start, time=time)).decoded_by(policy)
    (found,) = batch.points
    assert (found.start_us in (0, found.time_us)) == unknown
    assert batch.losses == {}


def test_an_sdk_knows_its_start_even_if_its_clock_is_coarse(policy):
    request = Request(telemetry__sdk__name="opentelemetry").sum(point(3, start=NOW_NS))
    (found,) = request.decoded_by(policy).points
    assert found.start_us not in (0, found.time_us)


def test_a_delta_whose_clock_was_set_back_counts(policy):
    batch = Request().delta(point(3, start=NOW_NS + 3600 * SECOND)).decoded_by(policy)
    assert (sum(batch.counts.values()), batch.losses) == (3, {})


@pytest.mark.parametrize("broken", [b"a\xff\xfeb", b"\x00"])
def test_a_text_that_is_none_costs_its_attribute_not_the_point(policy, broken):
    body = Request().delta(point(3, page="XXXX"[: len(broken)])).message.SerializeToString()
    batch = decode(policy, body.replace(b"XXXX"[: len(broken)], broken))
    assert (sum(batch.counts.values()), batch.losses) == (3, {Loss.UNDECLARED_ATTRIBUTE: 1})


@pytest.mark.parametrize(
    ("resource", "start", "identified"),
    [
        ({}, START, False),
        ({"service__instance__id": "one"}, START, True),
        ({"service__instance__id": "one"}, 0, False),
    ],
)
def test_deltas_of_an_instance_with_a_start_can_only_be_repeated_by_a_retry(
    policy, resource, start, identified
):
    request = Request(**resource).delta(point(3, start=start))
    assert request.decoded_by(policy).identified is identified
    assert Request().sum(point(3)).decoded_by(policy).identified


@pytest.mark.parametrize("temporality", [0, 3, 7, -1])
def test_a_sum_without_a_temporality_that_is_known_is_refused(policy, temporality):
    batch = Request().sum(point(3), temporality=temporality).decoded_by(policy)
    assert (batch.points, batch.counts, batch.losses) == ((), {}, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
def test_a_point_without_any_value_is_refused_and_says_nothing_of_its_counter(policy, temporality):
    batch = Request().sum(point(None), point(2), temporality=temporality).decoded_by(policy)
    assert (batch.losses, batch.rejected) == ({Loss.MALFORMED: 1}, 1)
    assert sum(batch.counts.values()) + sum(p.value for p in batch.points) == 2


@pytest.mark.parametrize("value", [3, 0])
def test_a_point_without_a_recorded_value_says_that_a_series_ends_and_is_no_loss(policy, value):
    sent = point(value)
    sent.flags = 1  # DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    batch = Request().sum(sent).sum(point(4), name="shop.order").decoded_by(policy)
    assert (len(batch.points), batch.losses) == (1, {})


@pytest.mark.parametrize("time", [NOW_NS - 7 * DAY - 1000, NOW_NS + 300 * SECOND + 1000, 0])
def test_a_point_outside_the_window_is_refused(policy, time):
    batch = Request().delta(point(3, time=time, start=0)).decoded_by(policy)
    assert (batch.counts, batch.losses, batch.rejected) == ({}, {Loss.OUT_OF_WINDOW: 1}, 1)


@pytest.mark.parametrize("time", [NOW_NS - 7 * DAY, NOW_NS + 300 * SECOND])
def test_a_point_at_the_edge_of_the_window_is_taken(policy, time):
    batch = Request().delta(point(3, time=time, start=0)).decoded_by(policy)
    assert sum(batch.counts.values()) == 3


def test_an_expired_event_and_an_undeclared_action_are_refused(policy):
    batch = (
        Request()
        .delta(point(3), name="shop.gone")
        .delta(point(4, feature__action="explode"))
        .decoded_by(policy)
    )
    assert batch.counts == {}
    assert batch.losses == {Loss.EXPIRED_EVENT: 1, Loss.UNDECLARED_ACTION: 1}


def test_exemplars_descriptions_and_units_are_not_looked_at(policy):
    sent = point(3)
    exemplar = sent.exemplars.add(as_int=99, trace_id=b"t" * 16)
    exemplar.filtered_attributes.append(KeyValue(key="user.email"))
    request = Request().delta(sent)
    request._scope.metrics[0].description = "walker@example.org"
    request._scope.metrics[0].unit = "{walker}"
    batch = request.decoded_by(policy)
    assert counts(batch) == {("shop.ping", "invoke", "ok", (), 0): 3}
    assert batch.losses == {}


def test_a_personal_value_in_the_resource_is_dropped_and_counted_once(policy):
    batch = Request(service__name="walker@example.org").delta(point(1), point(1)).decoded_by(policy)
    assert {d.service for _, d in batch.counts} == {None}
    assert batch.losses == {Loss.RESOURCE_PERSONAL: 1}


def test_the_sdks_own_tally_is_taken(policy):
    batch = (
        Request()
        .sum(point(8, emitted_event="shop.order"), name="footfall.emitted")
        .decoded_by(policy)
    )
    (found,) = batch.points
    assert (found.dimension.surface, found.value) == ("footfall", 8)
    assert found.dimension.enums == (("emitted_event", "shop.order"),)


def test_an_empty_request_is_an_empty_batch(policy):
    batch = decode(policy, b"")
    assert (batch.counts, batch.points, batch.losses) == ({}, (), {})


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05abc", b"garbage"])
def test_what_is_no_request_is_refused(policy, body):
    with pytest.raises(DecodeError):
        decode(policy, body)


def test_equal_requests_and_no_others_have_equal_digests(policy):
    digests = [Request().delta(point(number)).decoded_by(policy).digest for number in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]
