"""The tests. A package, so that `tests.services` is found wherever the tests are run from."""
