#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""frames.py [NETWORK [COUNT]]: takes a place on a network that runs and sends frames to everybody,
with the EtherType for experiments; prints what comes back. examples/frames.c answers them.

It uses no library of vmlan: the protocol is JSON on a socket, with a descriptor beside the reply.
"""

import json
import os
import select
import socket
import struct
import sys

HEADER = bytes(10)  # struct virtio_net_hdr in front of each frame: nothing asked for
EXPERIMENT = 0x88B5
EVERYBODY = bytes([0xFF] * 6)


def broker_path():
    if os.environ.get("VMLAN_RUNTIME_DIR"):
        return os.environ["VMLAN_RUNTIME_DIR"] + "/broker.sock"
    if os.geteuid() == 0:
        return "/run/vmlan/broker.sock"
    return os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}") + "/vmlan/broker.sock"


def call(method, parameters):
    """One call of the broker: the parameters and the descriptors of its reply."""
    with socket.socket(socket.AF_UNIX) as broker:
        broker.connect(broker_path())
        request = {"method": f"io.vmlan.Broker.{method}", "parameters": parameters}
        broker.sendall(json.dumps(request).encode() + b"\0")
        text, fds = b"", []
        while not text.endswith(b"\0"):
            data, more, _, _ = socket.recv_fds(broker, 65536, 16)
            if not data:
                sys.exit("the broker ended: try again")
            text, fds = text + data, fds + more
    reply = json.loads(text[:-1])
    if "error" in reply:
        sys.exit(f"{reply['error']}: {reply['parameters'].get('reason')}")
    return reply["parameters"], fds


def main(network="shared", count="1"):
    try:
        port, (tap, *vhost) = call("Attach", {"network": network})
    except OSError as why:
        sys.exit(f"no broker: {why.strerror}; start one: vmlan up {network}")
    mac = bytes.fromhex(port["mac"].replace(":", ""))
    print(f"{port['port']} on {network}, mac {port['mac']}", flush=True)
    for number in range(int(count)):
        frame = EVERYBODY + mac + struct.pack("!H", EXPERIMENT) + f"frame {number}".encode()
        os.write(tap, HEADER + frame)
        while select.select([tap], [], [], 5)[0]:
            frame = os.read(tap, 65536)[len(HEADER):]
            if frame[:6] == mac and frame[12:14] == struct.pack("!H", EXPERIMENT):
                print(f"{frame[6:12].hex(':')} answers: {frame[14:].decode()}", flush=True)
                break
        else:
            sys.exit("no answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
