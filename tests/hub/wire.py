"""A bad line: a TCP proxy that cuts, resets, stalls, slows or changes what it carries.

    with Wire(port_behind) as wire:
        wire.fault = fn            # fn(connection number) -> ("cut", bytes) or None

It knows nothing of TLS or HTTP: a byte that it flips is found by TLS, a connection that it
cuts ends without close_notify. Bytes to the client are counted in wire.sent; buffers are
small, so that little is on the way. Kinds: cut, reset, stall, flip (after so many bytes to
the client), slow (seconds of a pause after 64 KiB).
"""
import socket
import struct
import threading
import time

PIECE = 65536


class Wire:
    def __init__(self, port):
        self.port_behind, self.fault = port, None
        self.sent = self.n = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                fault = self.fault(self.n) if self.fault else None
                self.n += 1
            threading.Thread(target=self.carry, args=(client, fault), daemon=True).start()

    def carry(self, client, fault):
        kind, at = fault or (None, 0)
        with client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
            with socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
                try:
                    server.connect(("127.0.0.1", self.port_behind))
                    up = threading.Thread(target=self.upstream, args=(client, server),
                                          daemon=True)
                    up.start()
                    if self.downstream(client, server, kind, at) == "reset":
                        client.shutdown(socket.SHUT_RD)  # or `up` holds it open
                        up.join()
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
                        client.close()
                except OSError:
                    pass
                for s in (client, server):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass

    def upstream(self, client, server):
        try:
            while piece := client.recv(PIECE):
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            try:
                server.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def downstream(self, client, server, kind, at):
        done = 0
        while piece := server.recv(PIECE):
            here = at - done
            if kind in ("cut", "reset", "stall") and here < len(piece):
                self.send(client, piece[:here])
                if kind == "stall":
                    time.sleep(20)
                return kind
            if kind == "flip" and 0 <= here < len(piece):
                piece = piece[:here] + bytes([piece[here] ^ 0x20]) + piece[here + 1:]
            if kind == "slow":
                time.sleep(at * len(piece) / PIECE)
            self.send(client, piece)
            done += len(piece)
        return None

    def send(self, client, piece):
        client.sendall(piece)
        with self.lock:
            self.sent += len(piece)
