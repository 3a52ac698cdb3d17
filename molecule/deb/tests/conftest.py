"""The order of the tests: the package's own come last, because they change it; and the removals after all others."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ORDER = ("test_installed.py", "test_switching.py", "test_model.py", "test_taken.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: 1 + ORDER.index(item.path.name) if item.path.parent == HERE else 0)
