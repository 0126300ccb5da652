"""What a missing real component means: a failure in CI, a skip with its reason elsewhere."""

import os
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """Whether this run is CI (``CI=true``), where every real component must be there."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def need(component: str, reason: str) -> NoReturn:
    """End the test: `component` is not here, for `reason`."""
    text = f"{component}: {reason}"
    if in_ci():
        pytest.fail(f"{text} (CI must have it)", pytrace=False)
    pytest.skip(text)
