"""A process that forks: each process sends what it saw itself, once."""

import textwrap
import threading
import time

import pytest

from instrumentation import programs

START = """
    import multiprocessing, os, sys, time
    import footfall

    def work(number):
        with footfall.feature("shop.order", provider="smz3"):
            footfall.count("shop.lamp", number, "lit")
        return os.getpid()

    footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
    footfall.event("shop.visit")
    footfall.count("shop.lamp", 1000, "lit")
"""


def run(catalog, endpoint, program, *, quiet=True, **variables):
    code = textwrap.dedent(START).format(catalog=str(catalog), endpoint=endpoint)
    done = programs.run("-c", code + textwrap.dedent(program), **variables)
    assert done.returncode == 0, done.stderr
    assert not (quiet and done.stderr)
    return done.stdout


def instances(received):
    """Service instance → (observations, lamps counted)."""
    spans, lamps = {}, {}
    for group in received.resource_spans():
        name = next(a.value.string_value for a in group.resource.attributes if a.key == INSTANCE)
        spans[name] = spans.get(name, 0) + sum(len(scope.spans) for scope in group.scope_spans)
    for group in received.resource_metrics():
        name = next(a.value.string_value for a in group.resource.attributes if a.key == INSTANCE)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                if metric.name == "shop.lamp":
                    lamps[name] = max(point.as_int for point in metric.sum.data_points)
    return sorted((spans.get(name, 0), lamps.get(name, 0)) for name in {*spans, *lamps})


INSTANCE = "service.instance.id"


@pytest.mark.parametrize("flushed_before", [True, False])
def test_parent_and_child_each_send_their_own(catalog, received, flushed_before):
    run(
        catalog,
        received.endpoint,
        f"""
        {"footfall.flush()" if flushed_before else "pass"}
        if (child := os.fork()) == 0:
            work(7)
            assert footfall.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        work(500)
        """,
    )
    assert instances(received) == [(1, 7), (2, 1500)]
    assert sorted(each["event"] for each in received.observations()) == [
        "shop.order",
        "shop.order",
        "shop.visit",
    ]


def test_workers_of_multiprocessing_flush_when_they_end(catalog, received):
    run(
        catalog,
        received.endpoint,
        """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            used = set(pool.map(work, [1] * 20, chunksize=1))
            pool.close()
            pool.join()
        """,
    )
    found = instances(received)
    assert sum(spans for spans, _ in found) == 1 + 20
    assert sum(lamps for _, lamps in found) == 1000 + 20


def test_a_child_that_uses_no_telemetry_starts_no_thread_of_ours_and_sends_nothing(
    catalog, received
):
    out = run(
        catalog,
        received.endpoint,
        """
        import threading
        if (child := os.fork()) == 0:
            print([t.name for t in threading.enumerate() if t.name == "footfall"], flush=True)
            footfall.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        """,
    )
    assert out == "[]\n"
    assert instances(received) == [(1, 1000)]


def test_a_block_that_was_entered_before_the_fork_is_sent_by_the_parent_only(catalog, received):
    run(
        catalog,
        received.endpoint,
        """
        with footfall.feature("shop.order"):
            child = os.fork()
        if child == 0:
            work(1)
            footfall.flush()
            os._exit(0)
        os.waitpid(child, 0)
        """,
    )
    assert instances(received) == [(1, 1), (2, 1000)]


def test_the_catalog_is_not_read_again(catalog, received):
    run(
        catalog,
        received.endpoint,
        f"""
        os.rename({str(catalog)!r}, {str(catalog) + ".gone"!r})
        if (child := os.fork()) == 0:
            work(7)
            assert footfall.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert instances(received) == [(1, 7), (1, 1000)]


def test_a_kept_batch_is_sent_by_the_parent_alone(catalog, received):
    received.held = True
    run(
        catalog,
        received.endpoint,
        """
        footfall.log_telemetry_safe("shop.order", {})
        footfall.flush(0.5)
        if (child := os.fork()) == 0:
            work(7)
            footfall.flush(0.5)
            os._exit(0)
        os.waitpid(child, 0)
        """,
        quiet=False,
        FOOTFALL_TIMEOUT="0.2",
    )
    ids = [span.span_id for span in received.spans()]
    assert len(ids) == len(set(ids))


def test_a_lock_that_another_thread_held_at_the_fork_hangs_nobody(catalog, received):
    run(
        catalog,
        received.endpoint,
        """
        import signal, threading
        counters = footfall.default.recorder.counters
        held, over = threading.Event(), threading.Event()

        def hold():
            with counters._lock:
                held.set()
                over.wait()

        threading.Thread(target=hold).start()
        held.wait()
        use = footfall.feature("shop.order")
        use.clock, use.plan = 1, footfall.default.recorder.plans["shop.order"]
        if (child := os.fork()) == 0:
            signal.alarm(20)
            use.__exit__(None, None, None)
            work(7)
            assert footfall.flush()
            os._exit(0)
        over.set()
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert (1, 7) in instances(received)


def test_a_fork_during_an_export_leaves_the_child_working(catalog, received, tmp_path):
    received.held, forked = True, tmp_path / "forked"

    def release():
        while not forked.exists() and not received.hold.is_set():
            time.sleep(0.01)
        received.hold.set()

    releasing = threading.Thread(target=release)
    releasing.start()
    try:
        run(
            catalog,
            received.endpoint,
            f"""
            assert not footfall.flush(0.3), "the export goes on"
            if (child := os.fork()) == 0:
                open({str(forked)!r}, "w").close()
                work(7)
                assert footfall.flush(5)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            """,
            quiet=False,  # gRPC says that it was in use
        )
    finally:
        received.hold.set()
        releasing.join()
    assert instances(received) == [(1, 7), (1, 1000)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_that_configure_themselves_flush_when_they_end(catalog, received, tmp_path, method):
    (tmp_path / "program.py").write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            import footfall

            def start():
                footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)

            def work(_):
                footfall.event("shop.order")

            if __name__ == "__main__":
                context = multiprocessing.get_context({method!r})
                with context.Pool(2, initializer=start) as pool:
                    pool.map(work, range(10), chunksize=1)
                    pool.close()
                    pool.join()
            """
        )
    )
    done = programs.run(tmp_path / "program.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(spans for spans, _ in instances(received)) == 10


CHILD = """
    if (child := os.fork()) == 0:
        work(7)
        {end}
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_child_that_ends_at_once_has_sent_what_it_saw(catalog, received):
    out = run(catalog, received.endpoint, CHILD.format(end="os._exit(5)"))
    assert out == "5\n"
    assert instances(received) == [(1, 7), (1, 1000)]


def test_so_has_one_that_is_told_to_end(catalog, received):
    end = "os.kill(os.getpid(), 15); time.sleep(20)"
    out = run(catalog, received.endpoint, CHILD.format(end=end))
    assert out == "-15\n"
    assert instances(received) == [(1, 7), (1, 1000)]


@pytest.mark.parametrize("hooks", ["true", "false"])
def test_another_exit_stands_in_its_place_while_telemetry_is_on(catalog, received, hooks):
    assert (
        programs.python(
            f"""
            import os
            leave = os._exit
            import footfall
            footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
            print(os._exit is leave, os._exit.__name__, flush=True)
            footfall.shutdown()
            print(os._exit is leave, flush=True)
            footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
            footfall.event("shop.order")
            os._exit(0)
            """,
            FOOTFALL_EXIT_HOOKS=hooks,
        )
        == f"{hooks == 'false'} _exit\nTrue\n"
    )
    assert len(received.spans()) == (hooks == "true")


def test_a_child_that_imports_it_itself_and_ends_at_once_has_sent_what_it_saw(catalog, received):
    programs.python(
        f"""
        import os
        if (child := os.fork()) == 0:
            import footfall
            footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
            footfall.event("shop.order")
            os._exit(0)
        os.waitpid(child, 0)
        """
    )
    assert instances(received) == [(1, 0)]


def test_a_child_ends_in_time_while_the_collector_hangs(catalog, received):
    received.held = True
    begun = time.monotonic()
    assert run(catalog, received.endpoint, CHILD.format(end="os._exit(5)")) == "5\n"
    assert time.monotonic() - begun < 30


def test_a_pool_that_its_block_ends_has_sent_what_its_workers_saw(catalog, received):
    run(
        catalog,
        received.endpoint,
        """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(work, [1] * 20, chunksize=1)
        """,
    )
    found = instances(received)
    assert (sum(spans for spans, _ in found), sum(lamps for _, lamps in found)) == (21, 1020)


def test_without_fork_support_of_grpc_a_child_of_a_parent_that_sent_nothing_sends(
    catalog, received
):
    out = run(
        catalog, received.endpoint, CHILD.format(end="os._exit(5)"), GRPC_ENABLE_FORK_SUPPORT="0"
    )
    assert out == "5\n"
    assert (1, 7) in instances(received)


def test_without_it_a_child_of_a_parent_that_has_sent_lives_and_says_why_it_sends_nothing(
    catalog, received
):
    code = textwrap.dedent(START).format(catalog=str(catalog), endpoint=received.endpoint)
    code += f"footfall.flush(){textwrap.dedent(CHILD.format(end='os._exit(5)'))}"
    done = programs.run("-c", code, GRPC_ENABLE_FORK_SUPPORT="0")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert "GRPC_ENABLE_FORK_SUPPORT=0: remove that, or set FOOTFALL_PROTOCOL" in done.stderr
    assert instances(received) == [(1, 1000)]
