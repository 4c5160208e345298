/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a network in networks.yaml: every way to get them wrong, with the lines a person is
 * to read. */
#include "config/test-networks.h"

#define KEYS                                                                          \
    "mode, dhcp, dnsProxy, mtu, nat44, nat66, routerAdvertisement, subnet, subnet6, " \
    "reservations, dhcpOptions, hostLoopback, forwards, egress, isolated, linger"

static const struct wrong values[] = {
    {"vmnet:\n"
     "  a:\n"
     "    mtu: 900\n",
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a:\n"
     "    mtu: 65522\n",
     "F:3:10: mtu: 65522 is too large; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mtu: 1500.0}\n",
     "F:2:12: mtu: 1500.0 is not a whole number; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mtu: \"1500\"}\n",
     "F:2:12: mtu: \"1500\" is not a whole number; write 1500 without quotes\n"},
    {"vmnet:\n"
     "  a: {mtu: 99999999999999999999}\n",
     "F:2:12: mtu: \"99999999999999999999\" is not a whole number; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mtu: .inf}\n",
     "F:2:12: mtu: \".inf\" is not a whole number; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mtu: 1_500}\n",
     "F:2:12: mtu: \"1_500\" is not a whole number; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mtu: true}\n",
     "F:2:12: mtu: true is not a whole number; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mtu: [1500]}\n",
     "F:2:12: mtu: a list is not a whole number; use 1280 to 65521\n"},
    {"vmnet:\n"
     "  a: {mode: bridged}\n",
     "F:2:13: mode: \"bridged\" is not a mode; use shared or host\n"},
    {"vmnet:\n"
     "  a: {mode: 1}\n",
     "F:2:13: mode: 1 is not a mode; use shared or host\n"},
    {"vmnet:\n"
     "  a: {subnet: [10.0.0.0/24]}\n",
     "F:2:15: subnet: a list is not an IPv4 subnet; write ADDRESS/PREFIX, such as "
     "192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {mode: {x: 1}}\n",
     "F:2:13: mode: a mapping is not a mode; use shared or host\n"},
    {"vmnet:\n"
     "  a: {mode: SHARED}\n",
     "F:2:13: mode: \"SHARED\" is not a mode; use shared or host\n"},
    {"vmnet:\n"
     "  a: {dhcp: yes}\n",
     "F:2:13: dhcp: \"yes\" is not a boolean; write true\n"},
    {"vmnet:\n"
     "  a: {dhcp: \"true\"}\n",
     "F:2:13: dhcp: \"true\" is not a boolean; write true without quotes\n"},
    {"vmnet:\n"
     "  a: {dnsProxy: off}\n",
     "F:2:17: dnsProxy: \"off\" is not a boolean; write false\n"},
    {"vmnet:\n"
     "  a: {nat44: 1}\n",
     "F:2:14: nat44: 1 is not a boolean; write true\n"},
    {"vmnet:\n"
     "  a: {nat66: 0}\n",
     "F:2:14: nat66: 0 is not a boolean; write false\n"},
    {"vmnet:\n"
     "  a: {isolated: maybe}\n",
     "F:2:17: isolated: \"maybe\" is not a boolean; write true or false\n"},
    {"vmnet:\n"
     "  a: {routerAdvertisement: [true]}\n",
     "F:2:28: routerAdvertisement: a list is not a boolean; write true or false\n"},
    {"vmnet:\n"
     "  a:\n"
     "    routeradvertisement: true\n",
     "F:3:5: a: unknown key \"routeradvertisement\"; did you mean routerAdvertisement? Known "
     "keys: " KEYS "\n"},
    {"vmnet:\n"
     "  a: {dhpc: true}\n",
     "F:2:7: a: unknown key \"dhpc\"; did you mean dhcp? Known keys: " KEYS "\n"},
    {"vmnet:\n"
     "  a:\n"
     "    captures: []\n",
     "F:3:5: a: unknown key \"captures\"; known keys: " KEYS "\n"},
    {"vmnet:\n"
     "  a: {linger: -1}\n",
     "F:2:15: linger: -1 is too small; use 0 to 86400\n"},
    {"vmnet:\n"
     "  a: {linger: 86401}\n",
     "F:2:15: linger: 86401 is too large; use 0 to 86400\n"},
    {"vmnet:\n"
     "  a: {linger: 60s}\n",
     "F:2:15: linger: \"60s\" is not a whole number; use 0 to 86400\n"},
    {"vmnet:\n"
     "  a: {subnet: 192.168.107.5/24}\n",
     "F:2:15: subnet: \"192.168.107.5/24\" has host bits set; write 192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet: 192.168.107.0}\n",
     "F:2:15: subnet: \"192.168.107.0\" is not an IPv4 subnet; write ADDRESS/PREFIX, such as "
     "192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet: 192.168.107.0/30}\n",
     "F:2:15: subnet: \"192.168.107.0/30\" is too small; use a prefix of 8 to 29\n"},
    {"vmnet:\n"
     "  a: {subnet: 8.0.0.0/7}\n",
     "F:2:15: subnet: \"8.0.0.0/7\" is too large; use a prefix of 8 to 29\n"},
    {"vmnet:\n"
     "  a: {subnet: 192.168.107.0/33}\n",
     "F:2:15: subnet: \"192.168.107.0/33\" is not an IPv4 subnet; write ADDRESS/PREFIX, such as "
     "192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet: 192.168.107.0/024}\n",
     "F:2:15: subnet: \"192.168.107.0/024\" is not an IPv4 subnet; write ADDRESS/PREFIX, such as "
     "192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet: 192.168.107/24}\n",
     "F:2:15: subnet: \"192.168.107/24\" is not an IPv4 subnet; write ADDRESS/PREFIX, such as "
     "192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet: 0.0.0.0/8}\n",
     "F:2:15: subnet: \"0.0.0.0/8\" is not for guests: \"this network\" (0.0.0.0/8); use private "
     "addresses, such as 192.168.107.0/24 or 10.107.0.0/16\n"},
    {"vmnet:\n"
     "  a: {subnet: 127.1.0.0/16}\n",
     "F:2:15: subnet: \"127.1.0.0/16\" is not for guests: loopback (127.0.0.0/8); use private "
     "addresses, such as 192.168.107.0/24 or 10.107.0.0/16\n"},
    {"vmnet:\n"
     "  a: {subnet: 169.254.3.0/24}\n",
     "F:2:15: subnet: \"169.254.3.0/24\" is not for guests: link-local (169.254.0.0/16); use "
     "private addresses, such as 192.168.107.0/24 or 10.107.0.0/16\n"},
    {"vmnet:\n"
     "  a: {subnet: 239.0.0.0/24}\n",
     "F:2:15: subnet: \"239.0.0.0/24\" is not for guests: multicast (224.0.0.0/4); use private "
     "addresses, such as 192.168.107.0/24 or 10.107.0.0/16\n"},
    {"vmnet:\n"
     "  a: {subnet: 255.255.255.0/24}\n",
     "F:2:15: subnet: \"255.255.255.0/24\" is not for guests: reserved (240.0.0.0/4); use private "
     "addresses, such as 192.168.107.0/24 or 10.107.0.0/16\n"},
    {"vmnet:\n"
     "  a: {subnet: \"fd00::/64\"}\n",
     "F:2:15: subnet: \"fd00::/64\" is not an IPv4 subnet; write ADDRESS/PREFIX, such as "
     "192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet: 24}\n",
     "F:2:15: subnet: 24 is not an IPv4 subnet; write ADDRESS/PREFIX, such as 192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a: {subnet6: \"fd00:1::/48\"}\n",
     "F:2:16: subnet6: \"fd00:1::/48\" has a prefix of 48; only /64 works: guests choose their own "
     "addresses in it\n"},
    {"vmnet:\n"
     "  a: {subnet6: \"fd00:1::5/64\"}\n",
     "F:2:16: subnet6: \"fd00:1::5/64\" has host bits set; write fd00:1::/64\n"},
    {"vmnet:\n"
     "  a: {subnet6: \"fe80::/64\"}\n",
     "F:2:16: subnet6: \"fe80::/64\" is not for guests: link-local (fe80::/10); use unique local "
     "addresses, such as fd00:107::/64\n"},
    {"vmnet:\n"
     "  a: {subnet6: \"ff05::/64\"}\n",
     "F:2:16: subnet6: \"ff05::/64\" is not for guests: multicast (ff00::/8); use unique local "
     "addresses, such as fd00:107::/64\n"},
    {"vmnet:\n"
     "  a: {subnet6: \"::/64\"}\n",
     "F:2:16: subnet6: \"::/64\" is not for guests: reserved (::/8); use unique local addresses, "
     "such as fd00:107::/64\n"},
    {"vmnet:\n"
     "  a: {subnet6: \"fd00:1::\"}\n",
     "F:2:16: subnet6: \"fd00:1::\" is not an IPv6 subnet; write ADDRESS/64, such as "
     "fd00:107::/64\n"},
    {"vmnet:\n"
     "  a:\n"
     "    reservations:\n"
     "    - {mac: 52:54:00:00:00:01, ip: 10.0.0.9}\n",
     "F:4:5: reservations: addresses can't be reserved while the subnet is left open; add the "
     "subnet they belong to, such as subnet: 192.168.107.0/24\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.0/24\n"
     "    reservations: {mac: 52:54:00:00:00:01}\n",
     "F:4:19: reservations: a mapping is not a list; begin each entry with \"- \"\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.0/24\n"
     "    reservations:\n"
     "    - ip: 10.0.0.9\n"
     "    - mac: 52:54:00:00:00:01\n"
     "    - 10.0.0.9\n",
     "F:5:7: reservations[0]: mac is missing; add mac: VALUE\n"
     "F:6:7: reservations[1]: ip is missing; add ip: VALUE\n"
     "F:7:7: reservations[2]: \"10.0.0.9\" is not a mapping; write the settings below it, as KEY: "
     "VALUE\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.0/24\n"
     "    reservations:\n"
     "    - {mac: 52:54:00:00:00, ip: 10.0.1.9}\n"
     "    - {mac: 01:00:5e:00:00:01, ip: 10.0.0.0}\n"
     "    - {mac: 00:00:00:00:00:00, ip: 10.0.0.1}\n"
     "    - {mac: 52:54:00:00:00:0g, ip: 10.0.0.255}\n"
     "    - {mac: 525400000001, ip: 10.0.0}\n",
     "F:5:13: reservations[0].mac: \"52:54:00:00:00\" is not a MAC address; write six bytes, such "
     "as 52:54:00:12:34:56\n"
     "F:6:13: reservations[1].mac: \"01:00:5e:00:00:01\" is no single guest's; the first byte must "
     "be even, and not all may be zero\n"
     "F:7:13: reservations[2].mac: \"00:00:00:00:00:00\" is no single guest's; the first byte must "
     "be even, and not all may be zero\n"
     "F:8:13: reservations[3].mac: \"52:54:00:00:00:0g\" is not a MAC address; write six bytes, "
     "such as 52:54:00:12:34:56\n"
     "F:9:13: reservations[4].mac: 525400000001 is not a MAC address; write six bytes, such as "
     "52:54:00:12:34:56\n"
     "F:9:31: reservations[4].ip: \"10.0.0\" is not an IPv4 address; write four numbers, such as "
     "192.168.107.10\n"
     "F:5:33: reservations[0].ip: 10.0.1.9 is outside subnet 10.0.0.0/24; use 10.0.0.2 to "
     "10.0.0.254\n"
     "F:6:36: reservations[1].ip: 10.0.0.0 is the network's own address in subnet 10.0.0.0/24; use "
     "10.0.0.2 to 10.0.0.254\n"
     "F:7:36: reservations[2].ip: 10.0.0.1 is the gateway of subnet 10.0.0.0/24; use 10.0.0.2 to "
     "10.0.0.254\n"
     "F:8:36: reservations[3].ip: 10.0.0.255 is the broadcast address of subnet 10.0.0.0/24; use "
     "10.0.0.2 to 10.0.0.254\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.0/24\n"
     "    reservations:\n"
     "    - {name: web, mac: 52:54:00:00:00:01, ip: 10.0.0.9}\n"
     "    - {name: WEB, mac: 52:54:00:00:00:02, ip: 10.0.0.10}\n"
     "    - {name: db, mac: 52-54-00-00-00-01, ip: 10.0.0.11}\n"
     "    - {mac: 52:54:00:00:00:04, ip: 10.0.0.9}\n",
     "F:6:14: reservations[1].name: reserved already at F:5:14; give each guest its own name\n"
     "F:7:23: reservations[2].mac: reserved already at F:5:24; give each guest its own mac\n"
     "F:8:36: reservations[3].ip: reserved already at F:5:47; give each guest its own ip\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.0/24\n"
     "    reservations:\n"
     "    - {name: my_vm, mac: 52:54:00:00:00:01, ip: 10.0.0.9}\n"
     "    - {nmae: vm, mac: 52:54:00:00:00:02, ip: 10.0.0.10}\n"
     "    - {name: 7, mac: 52:54:00:00:00:03, ip: 10.0.0.11}\n",
     "F:5:14: reservations[0].name: \"my_vm\" can't be the name of a guest; use 1 to 63 of a-z, "
     "A-Z, 0-9 and -, a letter or digit first and last\n"
     "F:6:8: reservations[1]: unknown key \"nmae\"; did you mean name? Known keys: name, mac, ip\n"
     "F:7:14: reservations[2].name: 7 is not a string; write it in quotes: \"7\"\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.1/24\n"
     "    reservations:\n"
     "    - {mac: 52:54:00:00:00:01, ip: 10.0.9.9}\n",
     "F:3:13: subnet: \"10.0.0.1/24\" has host bits set; write 10.0.0.0/24\n"},
    {"vmnet:\n"
     "  a:\n"
     "    dhcpOptions:\n"
     "    - {code: 6, value: 1.1.1.1}\n"
     "    - {code: 3, value: 10.0.0.1}\n"
     "    - {code: 26, value: 1400}\n"
     "    - {code: 53, value: 1}\n"
     "    - {code: 255, value: 1}\n"
     "    - {code: ntp, value: 1}\n",
     "F:4:14: dhcpOptions[0].code: 6 is set by vmlan: the DNS servers; set dnsProxy\n"
     "F:5:14: dhcpOptions[1].code: 3 is set by vmlan: the router; mode: host offers none\n"
     "F:6:14: dhcpOptions[2].code: 26 is set by vmlan: the MTU; set mtu\n"
     "F:7:14: dhcpOptions[3].code: 53 is set by vmlan: part of the DHCP protocol; leave it out\n"
     "F:8:14: dhcpOptions[4].code: 255 is too large; use 1 to 254\n"
     "F:9:14: dhcpOptions[5].code: \"ntp\" is not a whole number; use 1 to 254\n"},
    {"vmnet:\n"
     "  a:\n"
     "    dhcpOptions:\n"
     "    - {code: 42, value: 10.0.0.1}\n"
     "    - {code: 42, value: 10.0.0.2}\n"
     "    - {code: 43}\n"
     "    - {value: x}\n",
     "F:6:7: dhcpOptions[2]: value is missing; add value: VALUE\n"
     "F:7:7: dhcpOptions[3]: code is missing; add code: VALUE\n"
     "F:5:14: dhcpOptions[1].code: 42 is set already at F:4:14; give each code once; several "
     "addresses go into one value, with commas\n"},
    {"vmnet:\n"
     "  a:\n"
     "    dhcpOptions:\n"
     "    - {code: 42, value: \"a\\nb\"}\n"
     "    - {code: 43, value: ''}\n"
     "    - {code: 44, value: '\"x'}\n"
     "    - {code: 45, value: 'x #y'}\n"
     "    - {code: 46, value: -1}\n"
     "    - {code: 47, value: 1.5}\n",
     "F:4:25: dhcpOptions[0].value: \"a\\nb\" contains a control character; write it as dnsmasq's "
     "dhcp-option takes it, on one line\n"
     "F:5:25: dhcpOptions[1].value: 0 bytes are too few; use 1 to 255 bytes\n"
     "F:6:25: dhcpOptions[2].value: \"\\\"x\" has a double quote without its partner; write it as "
     "dnsmasq's dhcp-option takes it, on one line\n"
     "F:7:25: dhcpOptions[3].value: \"x #y\" would end at the # as a comment; write it as "
     "dnsmasq's dhcp-option takes it, on one line\n"
     "F:8:25: dhcpOptions[4].value: -1 is too small; use 0 to 4294967295\n"
     "F:9:25: dhcpOptions[5].value: 1.5 is not a string; write it in quotes: \"1.5\"\n"},
    {"vmnet:\n"
     "  a:\n"
     "    subnet: 10.0.0.0/24\n"
     "    hostLoopback: 1\n"
     "    forwards:\n"
     "    - 8080:web\n"
     "    - 8080:web:80\n"
     "    - {listen: 8080, to: \"web:80\"}\n"
     "    - {listen: 8081, to: web, protocol: sctp}\n"
     "    - {listen: 0, from: x}\n"
     "    - 5\n"
     "    - 80:10.0.1.1:80\n"
     "    - {listen: true, to: 9}\n"
     "    - {listen: 80-81, to: \"web:80-82\"}\n",
     "F:4:19: hostLoopback: 1 is not a boolean; write true\n"
     "F:6:7: forwards[0]: \"8080:web\" is not a forward; write [ADDRESS:]PORT:GUEST:PORT, such as "
     "8080:web:80 or 127.0.0.1:5353:ns:53/udp\n"
     "F:9:26: forwards[3].to: \"web\" is not a guest and port; write GUEST:PORT, such as web:80\n"
     "F:9:41: forwards[3].protocol: \"sctp\" is not a protocol; use tcp or udp\n"
     "F:10:16: forwards[4].listen: \"0\" is not a port; use 1 to 65535, or a range such as "
     "8000-8010\n"
     "F:10:19: forwards[4]: unknown key \"from\"; known keys: listen, to, protocol\n"
     "F:10:7: forwards[4]: to is missing; add to: VALUE\n"
     "F:11:7: forwards[5]: 5 is not a forward; write [ADDRESS:]PORT:GUEST:PORT, such as "
     "8080:web:80\n"
     "F:13:16: forwards[7].listen: true is not a string; write it in quotes: \"true\"\n"
     "F:13:26: forwards[7].to: 9 is not a string; write it in quotes: \"9\"\n"
     "F:14:7: forwards[8]: 80-81 and 80-82 are not equally many ports; give both ranges the same "
     "length\n"
     "F:8:7: forwards[2]: 127.0.0.1:8080 is taken by the forward at F:7:7; listen on another port "
     "or address\n"
     "F:12:7: forwards[6]: 10.0.1.1 can't be a guest's address in 10.0.0.0/24; write the guest's "
     "name, or an address that it has there\n"},
    {"vmnet:\n"
     "  a:\n"
     "    forwards:\n"
     "    - 1-1024:a:1-1024\n"
     "    - 1025-2048:a:1-1024\n"
     "    - 2049-3072:a:1-1024\n"
     "    - 3073-4096:a:1-1024\n"
     "    - 4097:a:1\n"
     "  b: {forwards: 80:web:80}\n",
     "F:4:5: forwards: 4097 ports are too many; at most 4096 are possible\n"
     "F:9:17: forwards: \"80:web:80\" is not a list; begin each entry with \"- \"\n"},
    {"vmnet:\n"
     "  a:\n"
     "    egress:\n"
     "      default: none\n"
     "      allow: [10.0.0.1/8, 10.0.0.0/8:0, 10.0.0.0/8/icmp, example.org, 5]\n"
     "      deny:\n"
     "      - 10.0.0.0/33\n"
     "      - \"[fd00::/8]443\"\n"
     "      - \"[fd00::1/8]:443\"\n"
     "      - 10.0.0.0/8:443:5\n"
     "      alow: []\n"
     "  b: {egress: {allow: [10.0.0.0/8]}}\n"
     "  c: {egress: {default: deny, deny: [\"*\"]}}\n"
     "  d: {egress: [10.0.0.0/8]}\n"
     "  e: {egress: {deny: \"*\"}}\n",
     "F:4:16: egress.default: \"none\" is not a default; use allow or deny\n"
     "F:5:15: egress.allow[0]: \"10.0.0.1/8\" has host bits set; write 10.0.0.0/8\n"
     "F:5:27: egress.allow[1]: \"0\" is not a port; use 1 to 65535, or a range such as 8000-8010\n"
     "F:5:41: egress.allow[2]: \"icmp\" is not a protocol; use /tcp or /udp, or neither for both\n"
     "F:5:58: egress.allow[3]: \"example.org\" is not a destination; write "
     "CIDR[:PORT[-PORT]][/tcp|/udp], such as 10.0.0.0/8:443 or [2001:db8::/32]:53/udp\n"
     "F:5:71: egress.allow[4]: 5 is not a string; write it in quotes: \"5\"\n"
     "F:7:9: egress.deny[0]: \"10.0.0.0/33\" is not a destination; write "
     "CIDR[:PORT[-PORT]][/tcp|/udp], such as 10.0.0.0/8:443 or [2001:db8::/32]:53/udp\n"
     "F:8:9: egress.deny[1]: \"[fd00::/8]443\" is not a destination; write "
     "CIDR[:PORT[-PORT]][/tcp|/udp], such as 10.0.0.0/8:443 or [2001:db8::/32]:53/udp\n"
     "F:9:9: egress.deny[2]: \"fd00::1/8\" has host bits set; write fd00::/8\n"
     "F:10:9: egress.deny[3]: \"10.0.0.0/8:443:5\" is not a destination; write "
     "CIDR[:PORT[-PORT]][/tcp|/udp], such as 10.0.0.0/8:443 or [2001:db8::/32]:53/udp\n"
     "F:11:7: egress: unknown key \"alow\"; did you mean allow? Known keys: default, allow, deny\n"
     "F:12:23: egress.allow: has no effect: everything is allowed anyway; add default: deny, or "
     "what to deny\n"
     "F:13:37: egress.deny: has no effect: everything is denied anyway; add default: allow, or "
     "what to allow\n"
     "F:14:15: egress: a list is not a mapping; write the settings below it, as KEY: VALUE\n"
     "F:15:22: egress.deny: \"*\" is not a list; begin each entry with \"- \"\n"},
};

static void test_values(void)
{
    check_wrong(values, ARRAY_SIZE(values));
}

static const struct test tests[] = {
    {"each wrong value and unknown key gets its lines", test_values},
};

TEST_MAIN(tests)
