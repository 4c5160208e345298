# SPDX-License-Identifier: Apache-2.0
"""A VM started the way Lima starts it on Linux for "networks: - socket: PATH": connected to the path
before, with the arguments of pkg/driver/qemu/qemu.go. The path is that of share/lima/vmlan.yaml.
"""

import re
import socket

import lib
import pytest
import stage
from netlib import Seat, ports

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64")]

MAC = "52:55:55:12:34:56"


def test_template_names_the_path(site):
    text = (lib.TOP / "share/lima/vmlan.yaml").read_text()
    path = re.search(r"^- socket: (.*)$", text, re.M)[1]
    site.vmlan("up", "shared")
    assert (site.runtime / path.removeprefix("/run/user/1000/vmlan/")).is_socket()


@pytest.mark.limit(240)
def test_arguments_of_lima(site, image):
    site.vmlan("up", "shared")
    seat = Seat(site, "shared", name="seat")
    with socket.socket(socket.AF_UNIX) as cable:
        cable.connect(str(site.runtime / "net/shared/stream.sock"))
        fd = cable.fileno()
        guest = stage.guest(site, image, "lima", networks=(), pass_fds=(fd,), net_args=[
            "-netdev", f"socket,id=net1,fd={fd}",
            "-device", f"virtio-net-pci,netdev=net1,mac={MAC}"])
        guest.start()
    try:
        address = guest.wait_address(4)
        assert seat.check(f"ping -c 1 -W 10 {address}")
        assert guest.ping("seat", 4).received
        assert [one["mac"] for one in ports(site).values() if one["backend"] == "stream"] == [MAC]
        guest.poweroff()
    finally:
        guest.kill()
    lib.wait_until(lambda: len(ports(site)) == 1, what="the end of the port")
