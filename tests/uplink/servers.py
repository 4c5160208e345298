# SPDX-License-Identifier: Apache-2.0
"""The servers of the tests' internet: a port for each way a server can behave, and HTTP.

    servers.py tcp ADDRESS,ADDRESS...
    servers.py udp ADDRESS,ADDRESS... [PORT]
    servers.py echo ADDRESS,ADDRESS... PORT...
    servers.py http ADDRESS,ADDRESS... PORT FOLDER

Writes "ready" when it listens. What a server saw of a connection can be asked for at port 2099 by
the token that the client sent as its first line.
"""

import asyncio
import functools
import http.server
import socket
import struct
import sys
import threading
import time
import zlib

PATTERN = bytes(range(251)) * 4178
SAW = {}
TOLD = {}


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def line(conn):
    data = b""
    while not data.endswith(b"\n"):
        piece = conn.recv(1)
        if not piece:
            break
        data += piece
    return data.decode().strip()


def told(token):
    return TOLD.setdefault(token, threading.Event())


def rest(conn):
    """Everything until the end: size and CRC, or the error's name."""
    size = value = 0
    try:
        while piece := conn.recv(1 << 20):
            size, value = size + len(piece), zlib.crc32(piece, value)
    except OSError as error:
        return error.__class__.__name__
    return f"{size} {value}"


def source(conn, size):
    while size > 0:
        piece = PATTERN[:size]
        conn.sendall(piece)
        size -= len(piece)


def serve_reset(conn):
    conn.sendall(b"r" * 1000)
    conn.recv(1)
    reset(conn)


def serve_bye(conn):
    conn.sendall(b"bye")
    conn.close()


def serve_count(conn):
    conn.sendall(rest(conn).encode())


def serve_half(conn):
    token = line(conn)
    conn.sendall(b"all")
    conn.shutdown(socket.SHUT_WR)
    SAW[token] = rest(conn)


def serve_slow(conn):
    """Reads only when told to, at port 2098."""
    told(line(conn)).wait(30)
    serve_count(conn)


def serve_tell(conn):
    told(line(conn)).set()
    conn.sendall(b"!")


def serve_source(conn):
    source(conn, int(line(conn)))


def serve_unread(conn):
    token = line(conn)
    try:
        source(conn, 1 << 26)
        SAW[token] = "sent"
    except OSError as error:
        SAW[token] = error.__class__.__name__


def serve_deaf(conn):
    """Closes with something unread: the kernel resets."""
    conn.recv(1, socket.MSG_PEEK)
    time.sleep(0.1)
    conn.close()


def serve_saw(conn):
    token = line(conn)
    deadline = time.monotonic() + 5
    while token not in SAW and time.monotonic() < deadline:
        time.sleep(0.01)
    conn.sendall(SAW.get(token, "nothing").encode())


def serve_peer(conn):
    conn.sendall(conn.getpeername()[0].encode())


BEHAVIOURS = {2001: serve_reset, 2002: serve_bye, 2003: serve_count, 2004: serve_half,
              2005: serve_slow, 2006: serve_source, 2007: serve_unread, 2008: serve_deaf,
              2010: serve_peer, 2098: serve_tell,
              2099: serve_saw}


def handle(behaviour, conn):
    try:
        with conn:
            behaviour(conn)
    except OSError:
        pass


def accept(server, behaviour):
    while True:
        conn = server.accept()[0]
        threading.Thread(target=handle, args=(behaviour, conn), daemon=True).start()


def listen(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, port), family=family, backlog=4096)
    if port == 2005:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return server


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def echo_forever(addresses, ports):
    for port in ports:
        await asyncio.start_server(echo, addresses, port, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main_tcp(addresses):
    for address in addresses:
        for port, behaviour in BEHAVIOURS.items():
            server = listen(address, port)
            threading.Thread(target=accept, args=(server, behaviour), daemon=True).start()
    asyncio.run(echo_forever(addresses, [7]))


def main_echo(addresses, *ports):
    """The echo alone."""
    asyncio.run(echo_forever(addresses, ports))


def main_udp(addresses, port="7"):
    """Echoes datagrams; "who" is answered with the sender's address and port."""
    def answer(server):
        while True:
            try:
                data, sender = server.recvfrom(65535)
                server.sendto(f"{sender[0]} {sender[1]}".encode() if data == b"who" else data,
                              sender)
            except OSError:  # an ICMP error for an answer
                pass

    for address in addresses:
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                               socket.SOCK_DGRAM)
        if server.family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind((address, int(port)))
        threading.Thread(target=answer, args=(server,), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


def main_http(addresses, port, folder):
    for address in addresses:
        server_class = type("Server", (http.server.ThreadingHTTPServer,), {
            "address_family": socket.AF_INET6 if ":" in address else socket.AF_INET,
            "request_queue_size": 1024})
        server = server_class((address, int(port)),
                              functools.partial(Handler, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    {"tcp": main_tcp, "udp": main_udp, "http": main_http, "echo": main_echo}[sys.argv[1]](
        sys.argv[2].split(","), *sys.argv[3:])
