/* SPDX-License-Identifier: Apache-2.0 */
/* networks.yaml: every way to get it wrong, with the lines a person is to read; and what is right.
 */
#include "config/networks.h"

#include <errno.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/own.h"
#include "base/test.h"

#define KEYS                                                                          \
    "mode, dhcp, dnsProxy, mtu, nat44, nat66, routerAdvertisement, subnet, subnet6, " \
    "reservations, dhcpOptions, hostLoopback, forwards, egress, isolated, linger"

/* A text, and all lines it is answered with. The source is called F. */
static const struct {
    const char *yaml, *lines;
} wrong[] = {
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
    {"vmnet:\n"
     "  a: {subnet: 10.0.0.0/8, subnet6: \"fd00:1::/64\"}\n"
     "  b: {subnet: 10.9.0.0/16}\n"
     "  c: {subnet6: \"fd00:1:0::/64\"}\n",
     "F:3:15: vmnet.b.subnet: 10.9.0.0/16 overlaps 10.0.0.0/8 of a at F:2:15; give one of them "
     "another subnet\n"
     "F:4:16: vmnet.c.subnet6: fd00:1::/64 overlaps fd00:1::/64 of a at F:2:36; give one of them "
     "another subnet6\n"},
    {"vmnet:\n"
     "  a: {mtu: 1400}\n"
     "  b: {}\n"
     "  a: {mtu: 1300}\n",
     "F:4:3: the key \"a\" stands here again; the first is at F:2:3; keep one of them\n"},
    {"vmnet:\n"
     "  a:\n"
     "    dhcp: true\n"
     "    mtu: 1400\n"
     "    dhcp: false\n",
     "F:5:5: the key \"dhcp\" stands here again; the first is at F:3:5; keep one of them\n"},
    {"vment:\n"
     "  a: {}\n",
     "F:1:1: unknown key \"vment\"; did you mean vmnet? Known keys: vmnet, clients\n"},
    {"vmnet: {}\n"
     "paths: {}\n",
     "F:2:1: unknown key \"paths\"; known keys: vmnet, clients\n"},
    {"clients: /usr/bin/true\n",
     "F:1:10: clients: \"/usr/bin/true\" is not a list; begin each entry with \"- \"\n"},
    {"clients: [bin/true, 5]\n",
     "F:1:11: clients[0]: \"bin/true\" is not an absolute path; write the program's whole path, "
     "such as /usr/bin/podman\n"
     "F:1:21: clients[1]: 5 is not a string; write it in quotes: \"5\"\n"},
    {"vmnet: [a]\n",
     "F:1:8: vmnet: a list is not a mapping; write the settings below it, as KEY: VALUE\n"},
    {"vmnet: shared\n",
     "F:1:8: vmnet: \"shared\" is not a mapping; write the settings below it, as KEY: VALUE\n"},
    {"vmnet:\n"
     "  a: shared\n",
     "F:2:6: a: \"shared\" is not a mapping; write the settings below it, as KEY: VALUE\n"},
    {"vmnet:\n"
     "  Lab: {}\n"
     "  -lab: {}\n"
     "  lab_: {}\n"
     "  a.b: {}\n"
     "  \"\": {}\n"
     "  abcdefghijklmnopqrstuvwxyz0123456: {}\n",
     "F:2:3: \"Lab\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or "
     "digit first and last\n"
     "F:3:3: \"-lab\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter "
     "or digit first and last\n"
     "F:4:3: \"lab_\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter "
     "or digit first and last\n"
     "F:5:3: \"a.b\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or "
     "digit first and last\n"
     "F:6:3: \"\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or "
     "digit first and last\n"
     "F:7:3: \"abcdefghijklmnopqrstuvwxyz0123456\" can't be the name of a network; use 1 to 32 of "
     "a-z, 0-9, - and _, a letter or digit first and last\n"},
    {"vmnet:\n"
     "  \"n\\u00e4he\\n\": {mtu: 1}\n",
     "F:2:3: \"n\303\244he\\n\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, "
     "a letter or digit first and last\n"
     "F:2:24: mtu: 1 is too small; use 1280 to 65521\n"},
    {"- vmnet\n", "F:1:1: not a mapping; write KEY: VALUE\n"},
    {"vmnet:\n"
     "\ta: {}\n",
     "F:2:1: not YAML: while scanning for the next token, found character that cannot start any "
     "token; indent with spaces, not tabs; put @ and ` in quotes\n"},
    {"vmnet:\n"
     "  a: {mtu: 1400\n",
     "F:3:1: not YAML: while parsing a flow mapping, did not find expected ',' or '}'; check the "
     "indentation, brackets and quotes there\n"},
    {"vmnet:\n"
     "  a: mtu: 1400\n",
     "F:2:9: not YAML: mapping values are not allowed in this context; check the indentation; put "
     "a value that contains \": \" in quotes\n"},
    {"vmnet:\n"
     "  a: {mtu: !size 1400}\n",
     "F:2:12: the tag \"!size\" does not fit here; write the value without a tag\n"},
    {"vmnet:\n"
     "  a: {mtu: !!int many}\n",
     "F:2:12: the tag \"tag:yaml.org,2002:int\" does not fit here; write the value without a "
     "tag\n"},
    {"vmnet:\n"
     "  a: *b\n",
     "F:2:6: *b names no complete value above; mark the value with &b before it is used\n"},
    {"vmnet:\n"
     "  a: &b {x: *b}\n",
     "F:2:13: *b names no complete value above; mark the value with &b before it is used\n"},
    {"vmnet:\n"
     "  ? [a]\n"
     "  : {}\n",
     "F:2:5: a key that is not plain text; write KEY: VALUE\n"},
    {"vmnet:\n"
     "  a:\n"
     "    <<: 5\n",
     "F:3:5: << merges mappings only; write <<: *NAME, with &NAME at a mapping above\n"},
    {"vmnet: {}\n"
     "---\n"
     "vmnet: {}\n",
     "F:2:1: a second document; keep one, and no --- behind it\n"},
    {"vmnet:\n"
     "  a: {mode: \"x\\0y\"}\n",
     "F:2:13: a NUL in a string; leave out \\0\n"},
    {"vmnet:\n"
     "  a: {mode: "
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
     "F:2:13: mode: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... is "
     "not a mode; use shared or host\n"},
    {"vmnet:\n"
     "  a: {mode: \377}\n",
     "F:2:13: not YAML: invalid leading UTF-8 octet; save the file as UTF-8\n"},
    {"vmnet:\n"
     "  b: &b\n"
     "    mtu: 900\n"
     "  c: *b\n"
     "  d: {<<: *b, dhcp: 5}\n",
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"
     "F:5:21: dhcp: 5 is not a boolean; write true or false\n"
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"},
};

static int parse(const char *yaml, bool lima, struct networks *ret, struct buf *lines)
{
    OWN(faults) struct faults faults = {0};
    int r = networks_parse(yaml, strlen(yaml), "F", lima, ret, &faults);
    char text[ERROR_TEXT_SIZE];

    for (size_t i = 0; i < faults.count; i++)
        buf_printf(lines, "%s\n", error_text(&faults.items[i], text, sizeof(text)));
    return r;
}

static void test_wrong(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        OWN(buf) struct buf lines = BUF_NULL;
        OWN(networks) struct networks networks = {0};

        CHECK_INT(parse(wrong[i].yaml, false, &networks, &lines), -EINVAL);
        CHECK_TEXT(buf_text(&lines), wrong[i].lines);
        CHECK(!networks.vmnet);
    }
}

static char *dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

#define BUILT_IN                                                                               \
    "{\"shared\":{\"mode\":\"shared\",\"dhcp\":true,\"dnsProxy\":true,\"mtu\":1500,\"nat44\":" \
    "true,"                                                                                    \
    "\"nat66\":true,\"routerAdvertisement\":true,\"subnet\":\"192.168.107.0/24\"},"            \
    "\"host\":{\"mode\":\"host\",\"dhcp\":true,\"dnsProxy\":true,\"mtu\":1500,\"nat44\":true," \
    "\"nat66\":true,\"routerAdvertisement\":false,\"subnet\":\"192.168.108.0/24\"}}"

static const struct {
    const char *yaml;
    bool lima;
    const char *source, *vmnet;
} right[] = {
    {"", false, "built-in defaults", BUILT_IN},
    {"# nothing\n", false, "built-in defaults", BUILT_IN},
    {"---\n", false, "built-in defaults", BUILT_IN},
    {"vmnet:\n", false, "built-in defaults", BUILT_IN},
    {"vmnet: {}\n", true, "built-in defaults", BUILT_IN},
    {"paths: {socketVMNet: /x}\ngroup: everyone\nnetworks: {}\n", true, "built-in defaults",
     BUILT_IN},
    {"networks: {}\nvmnet:\n  a: {mtu: 1400}\n", true, "F", "{\"a\":{\"mtu\":1400}}"},
    {"vmnet:\n  a:\n  b: {}\n", false, "F", "{\"a\":{},\"b\":{}}"},
    {"vmnet: {a: {mtu: null, dhcp: ~, subnet: }}\n", false, "F",
     "{\"a\":{\"mtu\":null,\"dhcp\":null,\"subnet\":null}}"},
    {"vmnet: {a: {mtu: 0x5dc, linger: 0o17, dhcp: False}}\n", false, "F",
     "{\"a\":{\"mtu\":1500,\"linger\":15,\"dhcp\":false}}"},
    {"vmnet: {1: {mtu: 1280}, true: {mtu: 65521}}\n", false, "F",
     "{\"1\":{\"mtu\":1280},\"true\":{\"mtu\":65521}}"},
    {"vmnet: {a_b-c: {subnet: 10.0.0.0/8}, b: {subnet: 11.0.0.0/29}}\n", false, "F",
     "{\"a_b-c\":{\"subnet\":\"10.0.0.0/8\"},\"b\":{\"subnet\":\"11.0.0.0/29\"}}"},
    {"vmnet:\n  a: &a {mtu: 1400, dhcp: true}\n  b: {<<: *a, dhcp: false}\n  c: *a\n", false, "F",
     "{\"a\":{\"mtu\":1400,\"dhcp\":true},\"b\":{\"dhcp\":false,\"mtu\":1400},"
     "\"c\":{\"mtu\":1400,\"dhcp\":true}}"},
    {"vmnet:\n  a:\n    subnet: 10.0.0.0/24\n    reservations:\n"
     "    - {name: web, mac: 52:54:00:00:00:01, ip: 10.0.0.2}\n"
     "    - {mac: 52:54:00:00:00:02, ip: 10.0.0.254}\n"
     "    dhcpOptions:\n    - {code: 42, value: '10.0.0.1,10.0.0.2'}\n"
     "    - {code: 67, value: 'boot\\x86'}\n    - {code: 2, value: 3600}\n",
     false, "F",
     "{\"a\":{\"subnet\":\"10.0.0.0/24\",\"reservations\":["
     "{\"name\":\"web\",\"mac\":\"52:54:00:00:00:01\",\"ip\":\"10.0.0.2\"},"
     "{\"mac\":\"52:54:00:00:00:02\",\"ip\":\"10.0.0.254\"}],"
     "\"dhcpOptions\":[{\"code\":42,\"value\":\"10.0.0.1,10.0.0.2\"},"
     "{\"code\":67,\"value\":\"boot\\\\x86\"},{\"code\":2,\"value\":3600}]}}"},
    {"vmnet:\n  a:\n    hostLoopback: true\n    forwards:\n    - 8080:web:80\n"
     "    - {listen: 8443, to: \"10.0.0.2:443\", protocol: tcp}\n"
     "    egress:\n      default: deny\n      allow: [10.0.0.0/8, '*:53']\n",
     false, "F",
     "{\"a\":{\"hostLoopback\":true,\"forwards\":[\"8080:web:80\",{\"listen\":8443,"
     "\"to\":\"10.0.0.2:443\",\"protocol\":\"tcp\"}],\"egress\":{\"default\":\"deny\","
     "\"allow\":[\"10.0.0.0/8\",\"*:53\"]}}}"},
};

static void test_right(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        OWN(buf) struct buf lines = BUF_NULL;
        OWN(networks) struct networks networks = {0};
        OWN(mem) char *vmnet = NULL;
        int r = parse(right[i].yaml, right[i].lima, &networks, &lines);

        CHECK_TEXT(buf_text(&lines), "");
        CHECK_INT(r, 0);
        CHECK_TEXT(networks.source, right[i].source);
        CHECK_INT(networks.lima, right[i].lima && strcmp(right[i].source, "F") == 0);
        vmnet = dump(json_incref(networks.vmnet));
        CHECK_TEXT(vmnet, right[i].vmnet);
    }
}

static void test_lima_others(void)
{
    OWN(buf) struct buf lines = BUF_NULL;
    OWN(networks) struct networks networks = {0};

    CHECK_INT(parse("paths: {}\nvmnet: {a: {mtu: 5}}\n", true, &networks, &lines), -EINVAL);
    CHECK_TEXT(buf_text(&lines), "F:2:18: mtu: 5 is too small; use 1280 to 65521\n");
}

static void test_too_many(void)
{
    OWN(buf) struct buf yaml = BUF_NULL, lines = BUF_NULL;
    OWN(networks) struct networks networks = {0};

    buf_printf(&yaml, "vmnet:\n");
    for (int i = 0; i < 64; i++)
        buf_printf(&yaml, "  n%d: {subnet: 10.%d.0.0/16}\n", i, i);
    CHECK_INT(parse(buf_text(&yaml), false, &networks, &lines), 0);
    buf_printf(&yaml, "  one-more:\n");
    networks_done(&networks);
    CHECK_INT(parse(buf_text(&yaml), false, &networks, &lines), -EINVAL);
    CHECK_TEXT(buf_text(&lines),
               "F:2:3: vmnet: 65 networks are too many; at most 64 are possible\n");
}

static void test_find(void)
{
    OWN(buf) struct buf yaml = BUF_NULL, lines = BUF_NULL;
    OWN(networks) struct networks built_in = {0}, many = {0};
    struct error error;
    char text[ERROR_TEXT_SIZE];

    CHECK_INT(parse("", false, &built_in, &lines), 0);
    CHECK(networks_find(&built_in, "shared", NULL) != NULL);
    CHECK(networks_find(&built_in, "shraed", &error) == NULL);
    CHECK_INT(error.code, -ENOENT);
    CHECK_TEXT(error.id, ERROR_NO_NETWORK);
    CHECK_TEXT(error_text(&error, text, sizeof(text)),
               "no network \"shraed\" is configured; there are shared, host (built-in defaults)");

    buf_printf(&yaml, "vmnet:\n");
    for (int i = 0; i < 64; i++)
        buf_printf(&yaml, "  a-network-with-a-long-name-%d:\n", i);
    CHECK_INT(parse(buf_text(&yaml), false, &many, &lines), 0);
    CHECK(networks_find(&many, "x", &error) == NULL);
    CHECK(strstr(error.hint, "a-network-with-a-long-name-0, "));
    CHECK(strstr(error.hint, " and 53 more (F)"));
}

static const struct test tests[] = {
    {"each wrong configuration gets its lines, and is refused", test_wrong},
    {"right configurations are taken as written", test_right},
    {"of Lima's file only the vmnet section is judged", test_lima_others},
    {"at most 64 networks", test_too_many},
    {"an unknown network is answered with the known ones", test_find},
};

TEST_MAIN(tests)
