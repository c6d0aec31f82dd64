#!/usr/bin/env python3
"""Traffic with known content, for the lab's tests.

tcp-sink ADDRESS PORT                    prints ready; then bytes, began, ended, sha256
tcp-source FROM TO PORT MEGABYTES        prints sha256
udp-sink ADDRESS PORT                    prints ready; numbers seen, when stdin ends
udp-source FROM TO PORT COUNT            super-packets of 40 numbered segments
"""

import hashlib
import json
import random
import selectors
import socket
import sys
import time

SO_RCVBUFFORCE = 33
UDP_SEGMENT = 103
SEGMENT = 1200
BATCH = 40


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_sink(address: str, port: str) -> None:
    server = socket.create_server((address, int(port)), family=family(address))
    print("ready", flush=True)
    connection, _ = server.accept()
    digest, count, began = hashlib.sha256(), 0, time.monotonic()
    while data := connection.recv(1 << 20):
        digest.update(data)
        count += len(data)
    print(json.dumps({"bytes": count, "began": began, "ended": time.monotonic(), "sha256": digest.hexdigest()}))


def tcp_source(own: str, to: str, port: str, megabytes: str) -> None:
    block = random.Random(7).randbytes(1 << 20)
    digest = hashlib.sha256()
    with socket.create_connection((to, int(port)), source_address=(own, 0)) as s:
        for shift in range(int(megabytes)):
            data = block[shift:] + block[:shift]
            digest.update(data)
            s.sendall(data)
    print(json.dumps({"sha256": digest.hexdigest()}))


def _receive_all(s: socket.socket, seen: list[int]) -> None:
    """Takes what is there; a packet with wrong content counts as -1."""
    try:
        while data := s.recv(2000):
            sound = len(data) == SEGMENT and data[8:] == b"x" * (SEGMENT - 8)
            seen.append(int(data[:8]) if sound else -1)
    except BlockingIOError:
        pass


def udp_sink(address: str, port: str) -> None:
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 28)
    except PermissionError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 28)
    s.bind((address, int(port)))
    s.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(s, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print("ready", flush=True)
    seen: list[int] = []
    ended = False
    while not ended:
        ready = [key.fileobj for key, _ in selector.select()]
        _receive_all(s, seen)
        ended = sys.stdin in ready
    selector.unregister(sys.stdin)
    while selector.select(0.3):
        _receive_all(s, seen)
    print(json.dumps(seen))


def udp_source(own: str, to: str, port: str, count: str) -> None:
    s = socket.socket(family(own), socket.SOCK_DGRAM)
    s.bind((own, 0))
    s.connect((to, int(port)))
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SEGMENT)
    filler = b"x" * (SEGMENT - 8)
    for first in range(0, int(count), BATCH):
        s.send(b"".join(b"%08d" % (first + i) + filler for i in range(BATCH)))
        time.sleep(0.0003)  # a pace, so that no queue of the kernel's overflows


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    {"tcp-sink": tcp_sink, "tcp-source": tcp_source, "udp-sink": udp_sink, "udp-source": udp_source}[verb](*words)
