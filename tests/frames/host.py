# SPDX-License-Identifier: Apache-2.0
"""Guests that speak IP, as much as the frame tests need: scapy makes and reads the packets. What
they are connected by is of their second base (peer.py).
"""

import ipaddress
import os
import random

import pytest
from peer import LIMIT, DatagramWire, Guest, StreamWire, mac_bytes

scapy = pytest.importorskip("scapy", reason="scapy is not installed (python3-scapy)")
os.environ.setdefault("XDG_CONFIG_HOME", "/nonexistent")  # scapy looks for a start file there
from scapy.config import conf  # noqa: E402

conf.ipv6_enabled = True
from scapy.layers.dhcp import BOOTP, DHCP  # noqa: E402
from scapy.layers.dns import DNS, DNSQR  # noqa: E402
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,  # noqa: E402
                                ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Ether  # noqa: E402

BROADCAST = "ff:ff:ff:ff:ff:ff"
GATEWAY = "192.168.107.1"
A = 1


class Speaker:
    """What a guest says and hears above its wire."""

    ip = "0.0.0.0"

    def ask(self, packet, wanted, timeout=LIMIT):
        """Sends a packet; the first frame for which wanted(frame) is true, or None."""
        self.send(packet)

        def take(data):
            frame = Ether(data)
            self.answer_arp(frame)
            return frame if wanted(frame) else None
        return self.find(take, timeout)

    def answer_arp(self, frame):
        """Says where this guest is when somebody asks."""
        if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == self.ip:
            self.send(Ether(dst=frame.src, src=self.mac) / ARP(
                op=2, hwsrc=self.mac, psrc=self.ip, hwdst=frame.src, pdst=frame[ARP].psrc))

    # DHCP

    def dhcp(self, *options, timeout):
        """The answer to one DHCP message, its options as a dict; None if none comes."""
        number = random.getrandbits(32)
        packet = (Ether(dst=BROADCAST, src=self.mac) / IP(src="0.0.0.0", dst="255.255.255.255") /
                  UDP(sport=68, dport=67) /
                  BOOTP(chaddr=mac_bytes(self.mac), xid=number, flags=0x8000) /
                  DHCP(options=[*options, "end"]))
        frame = self.ask(packet, lambda frame: BOOTP in frame and frame[BOOTP].op == 2 and
                         frame[BOOTP].xid == number, timeout)
        if not frame:
            return None
        found = {one[0]: one[1] if len(one) == 2 else one[1:] for one in frame[DHCP].options
                 if isinstance(one, tuple)}
        return {**found, "address": frame[BOOTP].yiaddr, "source": frame[IP].src}

    def converse(self, *options):
        """The answer, asked for again as clients do (RFC 2131, 4.1): a network that just started
        has ports before its services are ready."""
        for _ in range(LIMIT):
            answer = self.dhcp(*options, timeout=1)
            if answer:
                return answer
        return pytest.fail(f"no answer within {LIMIT} s")

    def lease(self, name=None):
        """DISCOVER, OFFER, REQUEST, ACK: the options of the ACK."""
        more = [("param_req_list", [1, 3, 6, 15, 26, 28, 51, 54, 119])]
        more += [("hostname", name)] if name else []
        offer = self.converse(("message-type", "discover"), *more)
        assert offer["message-type"] == 2
        ack = self.converse(("message-type", "request"), ("server_id", offer["server_id"]),
                            ("requested_addr", offer["address"]), *more)
        assert ack["message-type"] == 5
        assert ack["address"] == offer["address"]
        self.ip = ack["address"]
        return ack

    # Neighbours

    def arp(self, address, timeout=LIMIT):
        """The MAC address that answers for an IPv4 address."""
        packet = Ether(dst=BROADCAST, src=self.mac) / ARP(
            op=1, hwsrc=self.mac, psrc=self.ip, pdst=address)
        frame = self.ask(packet, lambda frame: ARP in frame and frame[ARP].op == 2 and
                         frame[ARP].psrc == address, timeout)
        return frame and frame[ARP].hwsrc

    @property
    def link_local(self):
        """From the MAC address: RFC 4291, appendix A."""
        mac = mac_bytes(self.mac)
        host = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
        return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + host))

    def advertisement(self):
        """A router's advertisement, solicited more than once where need be (RFC 4861, 6.3.7)."""
        return next(filter(None, (self.solicit_router(1) for _ in range(LIMIT))))

    def solicit_router(self, timeout):
        """The router advertisement that answers a solicitation, or None."""
        packet = (Ether(dst="33:33:00:00:00:02", src=self.mac) /
                  IPv6(src=self.link_local, dst="ff02::2", hlim=255) / ICMPv6ND_RS() /
                  ICMPv6NDOptSrcLLAddr(lladdr=self.mac))
        return self.ask(packet, lambda frame: ICMPv6ND_RA in frame, timeout)

    def solicit(self, address):
        """The MAC address that answers for an IPv6 address."""
        last = ipaddress.IPv6Address(address).packed[-3:]
        group = str(ipaddress.IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + last))
        packet = (Ether(dst="33:33:ff:" + last.hex(":"), src=self.mac) /
                  IPv6(src=self.link_local, dst=group, hlim=255) / ICMPv6ND_NS(tgt=address) /
                  ICMPv6NDOptSrcLLAddr(lladdr=self.mac))
        frame = self.ask(packet, lambda frame: ICMPv6ND_NA in frame and
                         frame[ICMPv6ND_NA].tgt == address)
        return frame and frame.src

    # Names

    def resolve(self, name, kind=A, server=GATEWAY):
        """The response code and the data of the answers to a question."""
        number = random.getrandbits(16)
        port = random.randrange(20000, 60000)
        gateway = self.arp(server)
        packet = (Ether(dst=gateway, src=self.mac) / IP(src=self.ip, dst=server) /
                  UDP(sport=port, dport=53) /
                  DNS(id=number, rd=1, qd=DNSQR(qname=name, qtype=kind)))
        frame = self.ask(packet, lambda frame: DNS in frame and frame[DNS].id == number and
                         frame[UDP].dport == port)
        assert frame, f"no answer to {name}"
        answer = frame[DNS]
        found = [answer.an[i] for i in range(answer.ancount)]
        data = [one.rdata for one in found if one.type == kind]
        return answer.rcode, [d.decode() if isinstance(d, bytes) else d for d in data]


class Host(Speaker, Guest):
    """On a tap."""


class StreamHost(Speaker, StreamWire):
    """On a stream socket."""


class DatagramHost(Speaker, DatagramWire):
    """On a datagram socket with a path of its own."""
