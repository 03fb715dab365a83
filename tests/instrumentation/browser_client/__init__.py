"""A package, so that its modules share one browser, which is gone before other tests have a loop."""
