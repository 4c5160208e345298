# SPDX-License-Identifier: Apache-2.0
"""The broker is killed, and replaced by a new binary, a hundred times below running guests;
tests/vm/test_kills.py does it below QEMU.
"""

import os
import signal

import lib
import pytest
from netlib import Seat, role, the
from upgrade import kill_and_replace, overwrite, own_vmlan
from wire import Line, SocketGuest

pytestmark = [pytest.mark.engine, pytest.mark.needs("iperf3"), pytest.mark.limit(110)]


@pytest.fixture
def upgradable(site):
    return own_vmlan(site)


def test_broker_killed_and_replaced_a_hundred_times(upgradable):
    site = upgradable
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    path = site.runtime / "broker.sock"
    line = Line(SocketGuest(path, "shared", name="carol"), SocketGuest(path, "shared", name="dave"))
    line.meet()
    bob.serve()
    kill_and_replace(site, alice, bob, bob.address)
    assert line.end() == []
    bob.unserve()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_exec_after_an_upgrade_is_told_what_to_do(upgradable, number):
    """The broker of before does not know the new file; once it is gone all is well."""
    site = upgradable
    site.vmlan("up", "shared")
    overwrite(site)
    failed = site.vmlan("exec", "shared", "--", "true", check=False)
    assert failed.returncode == 1 and "vmlan service restart" in failed.stderr
    os.kill(the(site, "vmlan-broker"), number)
    lib.wait_until(lambda: not role(site, "vmlan-broker"), 5)
    assert site.vmlan("exec", "shared", "--", "echo", "here").stdout == "here\n"
