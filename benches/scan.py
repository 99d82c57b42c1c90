"""Reads a whole table into Arrow by the peers of `cargo xtask bench scan`, and prints the milliseconds of each run.

usage: scan.py PEER URL TABLE RUNS

Loading modules and connecting are not measured, as they are not for Tombolo: a run is from the question to the last row.
"""

import hashlib
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

import engines

# Questions before the measured ones for what is slow until it is warm, each for some of the rows.
WARM_UP_RUNS = 10
WARM_UP_ROWS = 100_000


def duckdb_over(extension, kind, url, table):
    import duckdb
    from duckdb_extensions import extension_importer

    extension_importer.import_extension(extension)
    connection = duckdb.connect()
    connection.execute(f"LOAD {extension}")
    parts = urlsplit(url)
    database = "dbname" if kind == "postgres" else "database"
    address = f"host={parts.hostname} port={parts.port} user={parts.username} password={parts.password}"
    connection.execute(f"ATTACH '{address} {database}={parts.path[1:]}' AS there (TYPE {kind}, READ_ONLY)")
    schema = "there.public" if kind == "postgres" else f"there.{parts.path[1:]}"

    def run():
        rows = 0
        for batch in connection.execute(f"SELECT * FROM {schema}.{table}").to_arrow_reader(100_000):
            rows += batch.num_rows
        return rows

    return run


def connectorx_over(url, table, parts):
    import connectorx

    url = url.replace("mariadb://", "mysql://")
    partition = {"partition_on": "id", "partition_num": parts} if parts > 1 else {}
    return lambda: connectorx.read_sql(url, f"SELECT * FROM {table}", return_type="arrow", **partition).num_rows


def trino_over(table):
    engine = engines.Trino()

    def run(where=""):
        rows = 0
        for _ in engine.cursor(f"SELECT * FROM pg.public.{table}{where}"):
            rows += 1
        return rows

    for _ in range(WARM_UP_RUNS):
        run(f" WHERE id <= {WARM_UP_ROWS}")
    return run


class RawMysql:
    """The server's bytes, thrown away: what any client has to wait for.

    Signing in is by mysql_native_password; the packets are those of MySQL's manual on its protocol.
    """

    def __init__(self, url):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = self.packet()
        rest = greeting[greeting.index(0, 1) + 5 :]
        nonce = rest[:8] + rest[27:39]
        password = parts.password.encode()
        once = hashlib.sha1(password).digest()
        mixed = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
        proof = bytes(a ^ b for a, b in zip(once, mixed))
        flags = 1 | 4 | 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 19
        answer = struct.pack("<IIB23x", flags, 1 << 24, 45) + parts.username.encode() + b"\0"
        answer += bytes([len(proof)]) + proof + parts.path[1:].encode() + b"\0mysql_native_password\0"
        self.send(answer, 1)
        if self.packet()[0] != 0:
            raise SystemExit("the server does not let us in")

    def exactly(self, length):
        data = b""
        while len(data) < length:
            data += self.socket.recv(length - len(data))
        return data

    def packet(self):
        head = self.exactly(4)
        return self.exactly(int.from_bytes(head[:3], "little"))

    def send(self, body, sequence=0):
        self.socket.sendall(len(body).to_bytes(3, "little") + bytes([sequence]) + body)

    def drain(self, quiet=False):
        """Reads until the mark of the end: a packet of five bytes that begins with 254, after which nothing follows."""
        buffer = bytearray(1 << 20)
        tail = b""
        total = 0
        while True:
            count = self.socket.recv_into(buffer)
            total += count
            tail = (tail + bytes(buffer[max(0, count - 9) : count]))[-9:]
            if tail[:3] == b"\x05\0\0" and tail[4] == 0xFE and not int.from_bytes(tail[7:9], "little") & 8:
                return total

    def text(self, table):
        def run():
            self.send(b"\x03" + f"SELECT * FROM {table}".encode())
            self.drain()

        return run

    def binary(self, table):
        def run():
            self.send(b"\x16" + f"SELECT * FROM {table}".encode())
            head = self.packet()
            statement, columns = struct.unpack("<IH", head[1:7])
            for _ in range(columns + 1):
                self.packet()
            self.send(b"\x17" + struct.pack("<IBI", statement, 0, 1))
            self.drain()
            self.send(b"\x19" + struct.pack("<I", statement))

        return run


def main():
    peer, url, table, runs = sys.argv[1:]
    if peer == "duckdb-postgres":
        run = duckdb_over("postgres_scanner", "postgres", url, table)
    elif peer == "duckdb-mysql":
        run = duckdb_over("mysql_scanner", "mysql", url, table)
    elif peer == "connectorx":
        run = connectorx_over(url, table, 1)
    elif peer == "connectorx-2":
        run = connectorx_over(url, table, 2)
    elif peer == "trino":
        run = trino_over(table)
    elif peer == "raw-text":
        run = RawMysql(url).text(table)
    elif peer == "raw-binary":
        run = RawMysql(url).binary(table)
    else:
        raise SystemExit(f"there is no peer {peer}")
    for _ in range(int(runs)):
        begun = time.perf_counter()
        run()
        print(f"{(time.perf_counter() - begun) * 1000:.1f}", flush=True)
    if peer == "trino":
        # What the server needs is not in its client.
        return
    with open("/proc/self/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM"))
    print("peak", peak.split()[1])


main()
