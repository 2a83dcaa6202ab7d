"""What all tests share. In CI a skipped test is a failed one; tests that share a costly fixture run in one worker."""

import os

import pytest

from support import wheels


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of this tree."""
    return wheels.build(tmp_path_factory.mktemp("wheel"))


def pytest_itemcollected(item):
    """Group, for `--dist loadgroup`, the tests of a module that share a fixture, by its parameter if it has several values.

    Whatever such a fixture makes is made once, not by each worker that happens to get one of its tests.
    """
    shared = [x[-1] for x in item._fixtureinfo.name2fixturedefs.values() if x[-1].scope == "module"]
    if shared:
        values = [str(item.callspec.params[x.argname]) for x in shared if x.params] if hasattr(item, "callspec") else []
        item.add_marker(pytest.mark.xdist_group("-".join([item.module.__name__, *values])))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be: {report.longrepr}"
