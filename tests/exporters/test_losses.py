from exporters.housekeeping import row
from footfall_processors import Loss
from support.batches import HOUR, NOW, batch, dimension
from support.stores import TODAY


async def age(query, days):
    for table, column in (("commits", "committed_at"), ("ingest_batches", "received_at")):
        query(f"UPDATE footfall.{table} SET {column} = {column} - make_interval(days => %s)", days)


def losses(query):
    found = query("SELECT day, reason, count FROM reporting.losses WHERE signal = 'subscriber'")
    return {(reported, reason): number for reported, reason, number in found}


async def test_what_a_subscriber_had_not_taken_when_it_was_deleted_is_a_loss(store, query, keeper):
    own = dimension("footfall.emitted", "count", surface="footfall", emitted_event="shop.order")
    hour = NOW // HOUR * HOUR
    await store(batch(row(NOW)))
    query("INSERT INTO footfall.subscribers (name, position) SELECT 'first', 1")
    query("INSERT INTO footfall.subscribers (name, position) SELECT 'done', 3")
    await store(batch(row(NOW), row(NOW), counts={(hour, dimension(action="invoke")): 40}))
    await store(batch(counts={(hour, own): 500, (hour, dimension()): 8}, signal="metrics"))
    await age(query, 6)
    await keeper().run_due({"retention"})
    assert losses(query) == {}
    await age(query, 2)
    await store(batch(row(NOW)))  # still to be had
    for _ in range(2):
        await keeper().run_due({"retention"})
        assert losses(query) == {(TODAY, "missed_by_retention"): 2 + 40 + 8}
    assert query("SELECT count(*) FROM footfall.commits") == [(1,)]
    [ran] = await keeper().run_due({"subscribers"})
    assert ran.outcome == "2 subscribers, 2 behind, 1 behind what is kept"


async def test_what_a_backend_refused_is_a_loss_until_it_was_taken(query):
    insert = "INSERT INTO footfall.parked VALUES ('posthog', %s, %s, 0, %s, %s)"
    for n, (events, reason) in enumerate([(3, "the backend answered HTTP 400"), (4, "TypeError")]):
        query(insert, n, n, events, reason)
    query(insert, 9, 9, 5, "TypeError")
    assert losses(query) == {(TODAY, "the backend answered HTTP 400"): 3, (TODAY, "TypeError"): 9}
    query("DELETE FROM footfall.parked WHERE position = 9")
    assert losses(query)[TODAY, "TypeError"] == 4


async def test_losses_of_every_place_are_in_one_view(store, query):
    dropped = dimension("footfall.dropped", "count", surface="footfall", drop_reason="queue_full")
    await store(batch(counts={(NOW // HOUR * HOUR, dropped): 6}, signal="metrics"))
    await store(batch(row(NOW), losses={Loss.ENUM_VALUE: 2}))
    query("INSERT INTO footfall.losses_daily VALUES (%s, 'logs', 'refused_by_store', 4)", TODAY)
    query("INSERT INTO footfall.parked VALUES ('x', 1, 1, 0, 5, 'TypeError')")
    found = query("SELECT signal, reason, count FROM reporting.losses ORDER BY 1")
    assert found == [
        ("logs", "refused_by_store", 4),
        ("sdk", "queue_full", 6),
        ("subscriber", "TypeError", 5),
        ("traces", "enum_value", 2),
    ]
