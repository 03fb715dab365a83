"""A fault of our own is said in one way, and never with what the error says."""

import logging
import re
from pathlib import Path

import footfall_collector
import footfall_exporters
from footfall_exporters.faults import log_fault

SECRET = "zelda@example.org"
log = logging.getLogger("footfall.test")


def fail(value):
    raise ValueError(f"cannot store {value}") from KeyError(value)


def survive(value):
    try:
        fail(value)
    except ValueError as error:
        log_fault(log, "storing failed", error)


def test_it_says_what_failed_how_and_where_and_no_value(caplog):
    survive(SECRET)
    [record] = caplog.records
    assert record.getMessage().startswith("storing failed: ValueError\n")
    assert "in fail" in record.getMessage()
    assert (record.levelname, record.funcName) == ("ERROR", "survive")
    assert SECRET not in caplog.text


def test_nobody_says_it_in_another_way():
    for package in (footfall_collector, footfall_exporters):
        for file in Path(package.__file__).parent.rglob("*.py"):
            if file.name not in ("faults.py", "logging.py"):
                said = re.findall(r"log\.exception|format_tb|format_exc|exc_info", file.read_text())
                assert (file.name, said) == (file.name, [])
