"""Repositories, registries and records to test lineage with."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from nightshift.lineage.code import CodeVersion
from nightshift.lineage.data import DataRegistry, DatasetVersion
from nightshift.lineage.environment import Environment
from nightshift.lineage.record import Lineage


def run_git(*arguments: str, where: Path) -> str:
    """Run git as a person would, with a name, and return what it says."""
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def a_checkout(folder: Path, **files: str) -> Path:
    """Return a git repository with one commit that holds ``files`` (a dot is written as ``__``)."""
    folder.mkdir(parents=True, exist_ok=True)
    run_git("init", "--quiet", "--initial-branch=main", where=folder)
    write_files(folder, {name.replace("__", "."): text for name, text in (files or {"a__py": "a = 1\n"}).items()})
    run_git("add", "--all", where=folder)
    run_git("commit", "--quiet", "--message=first", where=folder)
    return folder


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """Write texts below ``folder`` and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def a_registry(folder: Path) -> DataRegistry:
    """Return a new data registry with everything of it below ``folder``."""
    registry = another_machine(folder, "scratch")
    registry.create()
    return registry


def another_machine(folder: Path, scratch: str) -> DataRegistry:
    """Return the registry below ``folder`` as a machine with its own scratch sees it."""
    return DataRegistry(str(folder / "registry.git"), str(folder / "remote"), folder / scratch)


def object_at(store: Path, digest: str) -> Path:
    """Return where DVC keeps an object below a remote's or a cache's folder."""
    return store / "files" / "md5" / digest[:2] / digest[2:]


def flip_a_byte(path: Path) -> None:
    """Damage a file as a bad disk would: same size, same times, same rights."""
    before = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(before.st_mode & 0o777)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class ObjectServer(SimpleHTTPRequestHandler):
    """A web server that keeps what is posted to it, as an object store does."""

    def do_POST(self) -> None:
        path = Path(self.translate_path(self.path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._body())
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def an_object_server(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on a free port while the context lasts; gives the address."""
    folder.mkdir(exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(ObjectServer, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


CODE = CodeVersion(commit="c" * 40, branch="main")
ENVIRONMENT = Environment(
    python="CPython 3.11.7",
    platform="linux-x86_64",
    lock_digest="e" * 64,
    arithmetic="openblas Haswell, NumPy X86_V3, glibc 2.36",
)
DATA = DatasetVersion("registry.git", "d" * 40, "model", "f" * 32 + ".dir", files=3, bytes=99)


def a_lineage(**changes: Any) -> Lineage:
    """Return a lineage with every box ticked; ``changes`` name what differs."""
    whole = Lineage(
        code=CODE,
        environment=ENVIRONMENT,
        spec_digest="s" * 64,
        as_of=datetime(2013, 5, 1, tzinfo=UTC),
        data=DATA,
        table=replace(DATA, path="splits/model"),
        splits={"train": "1" * 64, "validation": "2" * 64, "test": "3" * 64},
    )
    return replace(whole, **changes)
