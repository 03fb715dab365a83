from hypothesis import given, settings
from hypothesis import strategies as st

from footfall_processors import Dimension, Loss, Policy, Service
from processors.policies import ATTRIBUTES, CATALOG, EVENTS, PATIENT, judge, losses


def test_equal_classes_are_one_object(policy):
    for key, one, two in [
        ("guild_id", "1", "2"),
        ("note", "a", "b"),
        ("note", 1, ["x"]),
        ("duration_ms", 1, 2),
        ("provider", "smz3", "smz3"),
        ("provider", "nobody", 7),
        ("error.type", "TimeoutError", "timeout"),
        ("error.type", "Alice", "Bob"),
        ("feature.sample_rate", 0.1234, 0.12341),
        ("feature.action", "nobody", "nothing"),
        ("user.name", "alice", "bob"),
    ]:
        assert policy.classify(key, one) is policy.classify(key, two), key


def test_different_classes_are_different_objects(policy):
    sent = [
        ("note", "a"), ("note", 5), ("hard", True), ("hard", 5), ("provider", "smz3"),
        ("provider", "alttpr"), ("provider", "nobody"), ("user.name", "a"), ("feature.status", "ok"),
        ("feature.status", 5), ("feature.action", "success"), ("feature.sample_rate", 1),
        ("error.type", "timeout"),
    ]  # fmt: skip
    assert len({id(policy.classify(*pair)) for pair in sent}) == len(sent)


def test_a_class_holds_no_raw_value(policy):
    for key, value in [("guild_id", "alice"), ("note", "alice"), ("user.name", "alice"),
                       ("provider", "alice"), ("error.type", "alice"), ("feature.action", "alice"),
                       ("feature.name", "alice"), ("alice", 1)]:  # fmt: skip
        assert "alice" not in repr(policy.classify(key, value))


def test_equal_spans_share_shape_and_dimension(policy):
    one = judge(policy, "discord.generator", {"provider": "smz3", "guild_id": "1"})
    two = judge(policy, "discord.generator.success", {"user.name": "x", "provider": "smz3"})
    assert one.shape is two.shape
    sampled = judge(policy, "discord.generator", {"provider": "smz3", "feature.sample_rate": 0.5})
    assert sampled.shape is not one.shape
    assert sampled.shape.dimension is one.shape.dimension
    elsewhere = judge(policy, "discord.generator", {"provider": "smz3"}, service=Service("other"))
    assert elsewhere.shape.dimension is not one.shape.dimension


KEYS = st.sampled_from(
    [*ATTRIBUTES, "feature.action", "feature.status", "feature.sample_rate", "error.type",
     "feature.surface", "feature.name", "user.name", "http.response.status_code"]
)  # fmt: skip
VALUES = st.one_of(
    st.text(st.characters()), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(),
    st.lists(st.text()), st.sampled_from(["smz3", "open", "invoke", "success", "failure", "ok", "timeout"]),
    st.floats(0, 1), st.sampled_from([200, 403, 404, 500, 503]),
)  # fmt: skip


@settings(PATIENT, max_examples=150)
@given(st.sampled_from([*EVENTS, "discord.generator.invoke", "x"]), st.sampled_from([None, False, True]),
       st.lists(st.tuples(KEYS, VALUES), max_size=8))  # fmt: skip
def test_any_span_gets_a_verdict_of_declared_values_only(name, failed, attributes):
    verdict = judge(Policy(CATALOG), name, attributes, failed=failed)
    if verdict.shape is None:
        assert isinstance(verdict.refused, Loss)
        return
    dimension = verdict.shape.dimension
    event = CATALOG.events[dimension.event]
    assert dimension.action in event.actions
    assert dimension.status in {"ok", "error", "timeout", "denied"}
    assert (dimension.error_type is None) == (dimension.status == "ok")
    for key, value in dimension.enums:
        assert key in event.attributes
        assert value in ATTRIBUTES[key].values
    for column, at in zip(verdict.shape.columns, verdict.positions, strict=True):
        assert at == -1 or attributes[at][0] == column
    used = sum(at >= 0 for at in (*verdict.positions, verdict.duration_at)) + len(dimension.enums)
    plain = sum(key not in ATTRIBUTES for key, _ in attributes)
    assert used <= len(attributes)
    assert used + sum(losses(verdict).values()) >= len(attributes) - plain


def test_hostile_values_do_not_grow_the_tables(policy):
    for number in range(4_000):
        word = f"value{number}"
        for key in ("provider", "note", "guild_id", "error.type", "feature.action", "feature.status",
                    "feature.name", word):  # fmt: skip
            policy.classify(key, word)
        policy.classify("feature.sample_rate", (number + 1) / 4_000)
        policy.classify("duration_ms", number)
        judge(policy, word, {"feature.action": word, "provider": word, "error.type": word})
        judge(policy, "discord.generator", {"provider": word, "error.type": word, word: word})
    assert len(policy._atoms) <= 1000 + 20  # one per sample rate, few for the rest
    assert len(policy._dimensions) <= 2
    assert len(policy._shapes) <= 2


def test_dimensions_are_compared_by_identity():
    fields = ("e", "s", "f", "a", "ok", None, None, None, None, ())
    assert Dimension(*fields) != Dimension(*fields)
