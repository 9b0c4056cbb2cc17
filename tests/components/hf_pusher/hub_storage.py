"""Both ways in which a Hub takes large files: the LFS batch interface, and Xet.

Xet: https://huggingface.co/docs/xet. A file is cut into chunks, chunks travel in xorbs, and a shard
tells of which chunks a file consists. Everything that arrives is put together again and has to have
the SHA-256 that was announced.
"""

import hashlib
import json
import struct
import time

import numpy as np
import pyarrow

from tests.components.hf_pusher.hub_state import Answer, error

PART_BYTES = 20_000
XET_TOKEN = "xet_" + "shortlived" * 3
ROUTES = [
    ("POST", "batch", r"/(?:(\w+)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("PUT", "upload", r"/lfs/upload/(\w+)(?:/(\d+))?"),
    ("POST", "complete", r"/lfs/complete/(\w+)"),
    ("POST", "verify", r"/lfs/verify"),
    ("GET", "xet_token", r"/api/(\w+)/([^/]+/[^/]+)/xet-write-token/[^/]+"),
    ("GET", "xet_known", r"/cas/v1/chunks/.+"),
    ("POST", "xet_grant", r"/cas/v1/xorb-grants/.+"),
    ("POST", "xorb", r"/cas/v1/xorbs/default/(\w+)"),
    ("POST", "shard", r"/cas/(v1|v2)/shards"),
    ("POST", "xet_telemetry", r"/v1/telemetry"),
]
WITHOUT_TOKEN = {
    "upload",
    "complete",
    "xet_telemetry",
}  # their URLs are secret, or they say nothing
WITH_XET_TOKEN = {"xet_known", "xet_grant", "xorb", "shard"}

_ENTRY_BYTES = 48
_END = b"\xff" * 32
_WITH_VERIFICATION, _WITH_SHA256 = 1 << 31, 1 << 30


class Storage:
    """The routes of a handler that has `hub`, the state of the server."""

    def _batch(self, body, folder, repo_id):
        self._repository(folder, repo_id)
        objects = []
        for item in json.loads(body)["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["size"] > self.hub.largest_file:
                entry["error"] = {"code": 422, "message": "File exceeds the size limit"}
            elif item["oid"] not in self.hub.verified:
                verify = {"href": f"{self.hub.url}/lfs/verify"}
                entry["actions"] = {"upload": self._upload_action(item), "verify": verify}
            objects.append(entry)
        return Answer(200, {"transfer": "basic", "objects": objects})

    def _upload_action(self, item):
        if item["size"] <= PART_BYTES:
            return {"href": f"{self.hub.url}/lfs/upload/{item['oid']}"}
        count = -(-item["size"] // PART_BYTES)
        parts = {
            str(n): f"{self.hub.url}/lfs/upload/{item['oid']}/{n}" for n in range(1, count + 1)
        }
        header = {"chunk_size": str(PART_BYTES), **parts}
        return {"href": f"{self.hub.url}/lfs/complete/{item['oid']}", "header": header}

    def _upload(self, body, oid, part):
        if part:
            self.hub.parts[oid, int(part)] = body
        else:
            self.hub.objects[oid] = body
        return Answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _complete(self, body, oid):
        numbers = sorted(part["partNumber"] for part in json.loads(body)["parts"])
        self.hub.objects[oid] = b"".join(self.hub.parts[oid, number] for number in numbers)
        return Answer(200, {})

    def _verify(self, body):
        self._accept(json.loads(body)["oid"])
        return Answer(200, {})

    def _accept(self, oid):
        if hashlib.sha256(self.hub.objects.get(oid, b"")).hexdigest() != oid:
            raise error(422, "The object is not what was announced")
        self.hub.verified.add(oid)

    def _xet_token(self, body, folder, repo_id):
        self._repository(folder, repo_id)
        url, expiry = f"{self.hub.url}/cas", int(time.time()) + 3600
        return Answer(200, {"casUrl": url, "exp": expiry, "accessToken": XET_TOKEN})

    def _xet_known(self, body):
        raise error(404, "This chunk is new")

    def _xet_grant(self, body):
        raise error(404, "Uploads go to this server")

    def _xorb(self, body, name):
        self.hub.xorbs[name] = list(_chunks(body))
        return Answer(200, {"was_inserted": True})

    def _shard(self, body, version):
        for oid, terms in _files(body):
            if unknown := [xorb for xorb, _, _ in terms if xorb not in self.hub.xorbs]:
                raise error(400, f"xorb {unknown[0]} was not uploaded")
            self.hub.objects[oid] = b"".join(
                chunk for xorb, start, end in terms for chunk in self.hub.xorbs[xorb][start:end]
            )
            self._accept(oid)
        done = {"result": 1} if version == "v1" else {"type": "result"}
        return Answer(200, (json.dumps(done) + "\n").encode())

    def _xet_telemetry(self, body):
        return Answer(200, {})


def _chunks(xorb):
    """The chunks of a xorb, unpacked."""
    at = 0
    while at + 8 <= len(xorb) and xorb[at] == 0:
        packed = int.from_bytes(xorb[at + 1 : at + 4], "little")
        scheme = xorb[at + 4]
        size = int.from_bytes(xorb[at + 5 : at + 8], "little")
        chunk = xorb[at + 8 : at + 8 + packed]
        if scheme:
            chunk = pyarrow.decompress(chunk, size, codec="lz4", asbytes=True)
        yield _ungrouped(chunk) if scheme == 2 else chunk
        at += 8 + packed


def _ungrouped(grouped):
    """Bytes that lie by their position in groups of four, in their own order again."""
    chunk = np.empty(len(grouped), np.uint8)
    at = 0
    for position in range(4):
        count = len(chunk[position::4])
        chunk[position::4] = np.frombuffer(grouped, np.uint8, count, at)
        at += count
    return chunk.tobytes()


def _files(shard):
    """SHA-256 and terms (xorb, first chunk, end) of every file that a shard tells of."""
    at = _ENTRY_BYTES  # the header
    while shard[at : at + 32] != _END:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        assert flags & _WITH_SHA256, "repositories need the SHA-256 of their files"
        at += _ENTRY_BYTES
        terms = [
            (_name(shard, entry), *struct.unpack_from("<II", shard, entry + 40))
            for entry in range(at, at + count * _ENTRY_BYTES, _ENTRY_BYTES)
        ]
        at += count * _ENTRY_BYTES * (2 if flags & _WITH_VERIFICATION else 1)
        yield _name(shard, at), terms
        at += _ENTRY_BYTES


def _name(shard, at):
    """A hash as Xet writes it: four numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack_from("<4Q", shard, at))
