# SPDX-License-Identifier: Apache-2.0
"""The broker is killed, and replaced by a new binary, a hundred times below two QEMU guests, one on
a tap and one on a stream, that iperf3 keeps talking.
"""

import contextlib

import pytest
import stage
from upgrade import kill_and_replace, own_vmlan

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64", "iperf3"),
              pytest.mark.limit(240)]


def test_broker_killed_and_replaced_a_hundred_times_below_qemu(site, image):
    own_vmlan(site)
    with contextlib.ExitStack() as stack:
        tap, stream = [
            stack.enter_context(stage.guest(site, image, name, [f"shared,backend={name}"]))
            for name in ("tap", "stream")]
        for one, other in ((tap, stream), (stream, tap)):
            one.wait_address(6)
            one.wait_reach(other.name)
        stream.check("echo here >/tmp/index.html; httpd -p 8000 -h /tmp")
        kill_and_replace(site, tap, stream, stream.wait_address(4))
