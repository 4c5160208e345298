# SPDX-License-Identifier: Apache-2.0
"""Fixtures and markers of the integration tests; what they are made of is in lib.py.

Markers: engine (needs to make a network), needs("tool", ...), sanitized (also runs against the
sanitizer build), limit(seconds) (instead of 120).
"""

import os
import shutil
import signal
from pathlib import Path

import lib
import pytest

TIME_LIMIT = 120


def pytest_configure(config):
    for line in ("engine: makes networks; skipped, with the reason, where that is impossible",
                 "needs(*tools): skipped where one of these programs is not installed",
                 "sanitized: also runs against the sanitizer build",
                 f"limit(seconds): time limit of the test body instead of {TIME_LIMIT} s"):
        config.addinivalue_line("markers", line)
    # The runner ends a suite that is too slow with SIGTERM: fixtures must still clean up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_runtest_setup(item):
    tools = [tool for mark in item.iter_markers("needs") for tool in mark.args]
    reasons = [lib.missing_tool(tool) for tool in tools]
    if item.get_closest_marker("engine"):
        reasons.append(lib.missing_engine(lib.acting_user()))
    for reason in filter(None, reasons):
        pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else TIME_LIMIT

    def expire(_number, _frame):
        pytest.fail(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    site = getattr(item, "funcargs", {}).get("site")
    if report.when == "call" and report.failed and site:
        report.sections.append(("vmlan log", site.log()))


@pytest.fixture(scope="session")
def test_root():
    """The folder of this run: from tests/run, or one of our own."""
    if "VMLAN_TEST_ROOT" in os.environ:
        yield Path(os.environ["VMLAN_TEST_ROOT"])
        return
    root = lib.make_test_root()
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def vm_user():
    return lib.acting_user()


@pytest.fixture(scope="session")
def vmlan_bin(vm_user, test_root):
    path = lib.binary(vm_user, test_root)
    yield path
    shutil.rmtree(test_root / "bin", ignore_errors=True)


@pytest.fixture
def site(vm_user, vmlan_bin, test_root):
    with lib.Site(vm_user, vmlan_bin, test_root) as one:
        yield one


@pytest.fixture(scope="module")
def file_site(vm_user, vmlan_bin, test_root):
    """One for all tests of a file, which makes its site of it."""
    with lib.Site(vm_user, vmlan_bin, test_root) as one:
        yield one
