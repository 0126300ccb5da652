"""Real components that tests run against, one module each; `need.py` says what their absence means."""
