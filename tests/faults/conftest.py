"""Labs as the tests with peers have them."""

from __future__ import annotations

from interop.conftest import lab, pki, pytest_runtest_makereport, swept

__all__ = ["lab", "pki", "pytest_runtest_makereport", "swept"]
