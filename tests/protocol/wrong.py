# SPDX-License-Identifier: Apache-2.0
"""Wrong messages and what the broker answers to each: the table that test_protocol.py sends.

A network "shared" runs meanwhile, "host" does not and must not start. What ends in "…" goes on,
with words of the JSON parser or what later versions add. closes: the broker ends the connection
after its answer, because where the next message begins is anyone's guess.
"""

from collections import namedtuple

from peer import BROKER, SERVICE, text

Wrong = namedtuple("Wrong", "title data error field reason hint closes fds",
                   defaults=(None, None, None, False, 0))

MESSAGE_MAX = 256 * 1024
FDS_MAX = 40
JSON_HINT = 'send one JSON object such as {"method": "org.varlink.service.GetInfo"} and a NUL byte'
METHOD_HINT = 'send a method\'s full name such as "org.varlink.service.GetInfo"'
STRING_HINT = 'send a string such as "name"'
NETWORK_HINT = "use 1 to 32 of a-z, 0-9, - and _, a letter or digit first and last"
GUEST_HINT = "use 1 to 63 of a-z, A-Z, 0-9 and -, a letter or digit first and last"
MAC_HINT = "write six bytes such as 52:54:00:12:34:56"
IP_HINT = "write four numbers such as 192.168.107.10"
RANGE_HINT = "use one of 192.168.107.0/24, but not the gateway's or the broadcast address"
ATTACH_FIELDS = ("Attach has the fields network, configuration, backend, name, mac, learnMac, ip, "
                 "queues, tso, checksumOffload, strict")
BACKENDS = ("its values are tap, namespace, host_link, named_tap, stream, datagram, "
    "datagram_next")
METHODS = f"{BROKER} has the methods Attach, Acquire, List, …"
INTERFACES = f"the interfaces are {SERVICE}, {BROKER}"
KEYS = "Known keys: mode, dhcp, dnsProxy, mtu, …"


def raw(title, data, reason="not readable as a JSON object: line 1, column …"):
    """Bytes that are no message."""
    return Wrong(title, data, f"{SERVICE}.InvalidParameter", "message", reason, JSON_HINT,
                 closes=True)


def envelope(title, message, field, reason, hint):
    """A JSON object that is no request."""
    return Wrong(title, text(message), f"{SERVICE}.InvalidParameter", field, reason, hint)


def unknown(title, method, error, reason, hint):
    """A request that nothing answers to."""
    return Wrong(title, text({"method": method}), f"{SERVICE}.{error}", "method", reason, hint)


def request(title, method, parameters, field, reason, hint, error="InvalidParameter", **more):
    """A request of io.vmlan.Broker whose parameters are wrong."""
    data = text({"method": f"{BROKER}.{method}", "parameters": parameters})
    return Wrong(title, data, f"{BROKER}.{error}", field, reason, hint, **more)


def attach(title, field, value, reason, hint, network="host"):
    """Attach with one wrong field."""
    return request(title, "Attach", {"network": network, field: value}, f"Attach.{field}", reason,
                   hint)


def configured(title, configuration, field, reason, hint):
    """Attach with a wrong configuration of the network."""
    return request(title, "Attach", {"network": "host", "configuration": configuration},
                   f"Attach.configuration.{field}", reason, hint)


NESTED = b'{"method":' + b"[" * 5000 + b"]" * 5000 + b"}\0"
HUGE = b'{"method":"io.vmlan.Broker.Attach","parameters":{"network":"host","queues":%s}}\0'

TABLE = [
    # Not one JSON object
    raw("words", b"hello\0"),
    raw("nothing", b"\0"),
    raw("a truncated object", b'{"method":"org.varlink.service.GetInfo"\0'),
    raw("two objects", b"{}{}\0"),
    raw("an array", b"[]\0", "found a JSON array, expected a JSON object"),
    raw("a string", b'"org.varlink.service.GetInfo"\0'),
    raw("a number", b"5\0"),
    raw("null", b"null\0"),
    raw("invalid UTF-8", b'{"method":"\xff\xfe"}\0'),
    raw("a NUL in a string", b'{"method":"a\\u0000b"}\0'),
    raw("half a surrogate pair", b'{"method":"\\ud800"}\0'),
    raw("deep nesting", NESTED),
    raw("a key twice", b'{"method":"x","method":"y"}\0'),
    raw("an integer of 30 digits", HUGE % (b"9" * 30)),
    raw("a real number beyond all", HUGE % b"1e400"),
    raw("the longest message, of letters", b"a" * (MESSAGE_MAX - 1) + b"\0"),
    Wrong("too long a message", b"a" * MESSAGE_MAX + b"\0", f"{BROKER}.LimitReached", "message",
          "found no end of the message", "send at most 262144 bytes, NUL included, in a message",
          closes=True),
    # No request
    envelope("no method", {}, "method", "found nothing, expected a string", METHOD_HINT),
    envelope("a method that is a number", {"method": 5}, "method",
             "found the integer 5, expected a string", METHOD_HINT),
    envelope("a reply nobody asked for", {"parameters": {}}, "method",
             "found nothing, expected a string", METHOD_HINT),
    envelope("parameters that are an array", {"method": f"{BROKER}.List", "parameters": []},
             "parameters", "found an array, expected an object",
             "send an object of the method's parameters such as {}"),
    envelope("oneway that is a number", {"method": f"{BROKER}.List", "oneway": 1}, "oneway",
             "found the integer 1, expected true or false",
             "send true for a request without a reply"),
    envelope("more that is a string", {"method": f"{BROKER}.List", "more": "yes"}, "more",
             'found the string "yes", expected true or false',
             "send true for a request with several replies"),
    envelope("upgrade", {"method": f"{BROKER}.List", "upgrade": True}, "upgrade",
             "found true, expected false or nothing", "leave it out: upgrades are not supported"),
    envelope("an unknown field of a request", {"method": f"{BROKER}.List", "extra": 1}, "extra",
             "found a field that no request has",
             "the fields of a request are method, parameters, oneway, more, upgrade"),
    # Nobody's method
    unknown("a method without interface", "List", "MethodNotFound",
            'found no interface in "List"', "send interface, dot, method"),
    unknown("no letters", "", "MethodNotFound", 'found no interface in ""',
            "send interface, dot, method"),
    unknown("an unknown interface", "com.example.List", "InterfaceNotFound",
            'found no interface "com.example"', INTERFACES),
    unknown("a holder's method", "io.vmlan.Holder.End", "InterfaceNotFound",
            'found no interface "io.vmlan.Holder"', INTERFACES),
    unknown("an unknown method", f"{BROKER}.Destroy", "MethodNotFound",
            f'found no method "{BROKER}.Destroy"', METHODS),
    unknown("an empty method", f"{BROKER}.", "MethodNotFound", f'found no method "{BROKER}."',
            METHODS),
    unknown("an unknown method of the service", f"{SERVICE}.Reboot", "MethodNotFound",
            f'found no method "{SERVICE}.Reboot"',
            f"{SERVICE} has the methods GetInfo, GetInterfaceDescription"),
    Wrong("the description of nothing",
          text({"method": f"{SERVICE}.GetInterfaceDescription",
                "parameters": {"interface": "x.y"}}),
          f"{SERVICE}.InterfaceNotFound", "GetInterfaceDescription.interface",
          'found no interface "x.y"', INTERFACES),
    Wrong("the description of a number",
          text({"method": f"{SERVICE}.GetInterfaceDescription", "parameters": {"interface": 1}}),
          f"{SERVICE}.InvalidParameter", "GetInterfaceDescription.interface",
          "found the integer 1, expected a string", STRING_HINT),
    # Wrong fields and types
    attach("an unknown field", "colour", "red", "found a field that is not known", ATTACH_FIELDS),
    request("a field where there is none", "List", {"network": "shared"}, "List.network",
            "found a field that is not known", "List has no fields"),
    request("no network", "Attach", {}, "Attach.network", "found nothing, expected a string",
            STRING_HINT),
    request("a network that is a number", "Up", {"network": 5}, "Up.network",
            "found the integer 5, expected a string", STRING_HINT),
    request("a network that is null", "Down", {"network": None}, "Down.network",
            "found null, expected a string", STRING_HINT),
    attach("an unknown backend", "backend", "socket",
           'found the string "socket", expected one of its values',
           BACKENDS),
    attach("a backend that is a number", "backend", 1, "found the integer 1, expected a string",
           BACKENDS),
    attach("queues that are a string", "queues", "2", 'found the string "2", expected an integer',
           "send a whole number such as 4"),
    attach("one queue and a half", "queues", 1.5,
           "found the real number 1.5, expected an integer", "send a whole number such as 4"),
    attach("a mac that is an object", "mac", {}, "found an object, expected a string", STRING_HINT),
    attach("a configuration that is an array", "configuration", [],
           "found an array, expected an object", "send an object such as {}"),
    # Wrong values
    request("a path for a network", "Attach", {"network": "../etc"}, "Attach.network",
            '"../etc" can\'t be the name of a network', NETWORK_HINT),
    request("no letters for a network", "Leases", {"network": ""}, "Leases.network",
            '"" can\'t be the name of a network', NETWORK_HINT),
    request("33 letters for a network", "Inspect", {"network": "a" * 33}, "Inspect.network",
            f'"{"a" * 33}" can\'t be the name of a network', NETWORK_HINT),
    request("capitals for a network", "Up", {"network": "Shared"}, "Up.network",
            '"Shared" can\'t be the name of a network', NETWORK_HINT),
    attach("no queues", "queues", 0, "0 queues can't be had", "use 1 to 16"),
    attach("17 queues", "queues", 17, "17 queues can't be had", "use 1 to 16"),
    attach("as many queues as there are numbers", "queues", 2**63 - 1,
           "9223372036854775807 queues can't be had", "use 1 to 16"),
    request("queues of a namespace", "Attach",
            {"network": "host", "backend": "namespace", "queues": 2}, "Attach.queues",
            "only a tap has queues", "leave queues out, or ask for the backend tap"),
    request("a tap's mac to be learnt", "Attach", {"network": "host", "learnMac": True},
            "Attach.learnMac", "only of a socket it can be learnt", "leave learnMac out"),
    request("a mac that is given and to be learnt", "Attach",
            {"network": "host", "backend": "stream", "mac": "52:54:00:00:00:01", "learnMac": True},
            "Attach.learnMac", "the MAC address is given already", "leave learnMac out"),
    attach("half a mac", "mac", "52:54:00", '"52:54:00" is not a MAC address', MAC_HINT),
    attach("a mac of many", "mac", "01:00:5e:00:00:01", "01:00:5e:00:00:01 is no single guest's",
           "the first byte must be even, and not all may be zero"),
    attach("a mac of none", "mac", "00:00:00:00:00:00", "00:00:00:00:00:00 is no single guest's",
           "the first byte must be even, and not all may be zero"),
    attach("an ip that is none", "ip", "300.1.1.1", '"300.1.1.1" is not an IPv4 address', IP_HINT),
    attach("an ip of six", "ip", "fd00::1", '"fd00::1" is not an IPv4 address', IP_HINT),
    attach("an ip from elsewhere", "ip", "10.0.0.5",
           "10.0.0.5 can't be a guest's address on this network", RANGE_HINT, "shared"),
    attach("the gateway's ip", "ip", "192.168.107.1",
           "192.168.107.1 can't be a guest's address on this network", RANGE_HINT, "shared"),
    attach("the broadcast ip", "ip", "192.168.107.255",
           "192.168.107.255 can't be a guest's address on this network", RANGE_HINT, "shared"),
    attach("a name with a space", "name", "my guest", '"my guest" can\'t be the name of a guest',
           GUEST_HINT),
    attach("a name with a new line", "name", "a\nb", '"a\\nb" can\'t be the name of a guest',
           GUEST_HINT),
    attach("a name with a comma", "name", "a,b", '"a,b" can\'t be the name of a guest', GUEST_HINT),
    attach("64 letters for a name", "name", "a" * 64, f'"{"a" * 64}" can\'t be the name of a guest',
           GUEST_HINT),
    # Wrong configurations
    configured("an mtu too small", {"mtu": 100}, "mtu", "mtu: 100 is too small",
               "use 1280 to 65521"),
    configured("an mtu in quotes", {"mtu": "1500"}, "mtu", 'mtu: "1500" is not a whole number',
               "write 1500 without quotes"),
    configured("an mtu that is a list", {"mtu": [[[]]]}, "mtu", "mtu: a list is not a whole number",
               "use 1280 to 65521"),
    configured("an unknown key", {"mtuu": 1500}, "mtuu", 'host: unknown key "mtuu"',
               f"did you mean mtu? {KEYS}"),
    configured("an unknown mode", {"mode": "nat"}, "mode", 'mode: "nat" is not a mode',
               "use shared or host"),
    configured("a subnet with host bits", {"subnet": "192.168.5.1/24"}, "subnet",
               'subnet: "192.168.5.1/24" has host bits set', "write 192.168.5.0/24"),
    configured("a reservation for no mac", {"reservations": [{"mac": "x", "ip": "192.168.108.5"}]},
               "reservations.0.mac", 'reservations[0].mac: "x" is not a MAC address',
               "write six bytes, such as 52:54:00:12:34:56"),
    request("a wrong configuration of a running network", "Up",
            {"network": "shared", "configuration": {"dhcp": "yes"}}, "Up.configuration.dhcp",
            'dhcp: "yes" is not a boolean', "write true"),
    # What can't be had
    request("a network that is not configured", "Attach", {"network": "nowhere"}, None,
            'no network "nowhere" is configured', "there are shared, host (built-in defaults)",
            error="NetworkNotFound"),
    request("an end of what does not run", "Down", {"network": "host"}, None,
            "network host is not running", "vmlan ls shows which are; vmlan up host starts it",
            error="NetworkNotFound"),
    request("a look at what does not run", "Inspect", {"network": "host"}, None,
            "network host is not running", "vmlan ls shows which are; vmlan up host starts it",
            error="NetworkNotFound"),
    request("a subnet that is taken", "Attach",
            {"network": "other", "configuration": {"subnet": "192.168.107.0/25"}}, None,
            "subnet 192.168.107.0/25 of network other overlaps network shared (192.168.107.0/24)",
            "give network other another subnet, or leave subnet out to have one chosen",
            error="Conflict"),
    # Descriptors
    request("a descriptor with List", "List", {}, "List.fds", "found 1, expected 0 to 0",
            "send no file descriptors beside the request", fds=1),
    request("descriptors with Attach", "Attach", {"network": "host"}, "Attach.fds",
            "found 2, expected 0 to 0", "send no file descriptors beside the request", fds=2),
    request("more descriptors than fit", "List", {}, "message",
            "found more file descriptors than can be received",
            "send at most 40 file descriptors in a message", error="LimitReached", closes=True,
            fds=FDS_MAX + 1),
    raw("descriptors with words", b"hello\0")._replace(fds=1),
]
