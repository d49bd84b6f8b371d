"""Packages and answers of MLflow as tests of the registry need them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from nightshift.files import file_digest, write_bytes, write_json

Answer = tuple[int, bytes]


def digest(text: str) -> str:
    """Return some SHA-256 that stands for ``text``."""
    return sha256(text.encode()).hexdigest()


def package(folder: Path, **files: str) -> Path:
    """Return ``folder`` with a manifest and files in it, by default one called ``model.ubj``."""
    for name, text in (files or {"model": "trees"}).items():
        write_bytes(folder / f"{name}.ubj", text.encode())
    parts = {
        path.name: {"sha256": file_digest(path), "size": path.stat().st_size} for path in sorted(folder.glob("*.ubj"))
    }
    write_json(folder / "manifest.json", {"format": 1, "files": parts})
    return folder


def candidate(folder: Path, *, lineage: str = "a", content: str = "trees", **changes: Any) -> dict[str, Any]:
    """Return what ``register`` is given besides the model's name."""
    built = package(folder / "package", model=content)
    write_json(folder / "lineage.json", {"format": 1, "of": lineage})
    usual = {
        "package": built,
        "evidence": {"lineage.json": folder / "lineage.json"},
        "lineage_digest": digest(lineage),
        "package_digest": file_digest(built / "manifest.json"),
        "tags": {"as_of": "2013-05-01T00:00:00+00:00"},
        "metrics": {"auc": 0.7},
        "params": {"rounds": 300},
        "inputs": {"train": {"digest": digest("train"), "source": "registry.git#splits/bikes", "rows": 1000}},
        "run_name": "build 2013-05-01",
    }
    return usual | changes


def version(number: int, *, lineage: str = "a", **tags: str) -> dict[str, Any]:
    """Return a version of ``bikes`` as MLflow describes one."""
    own = {"nightshift.lineage_digest": digest(lineage), "nightshift.package_digest": digest("package")}
    return {
        "name": "bikes",
        "version": str(number),
        "creation_timestamp": 1_367_366_400_000,
        "run_id": f"{number:032x}",
        "source": f"mlflow-artifacts:/1/{number:032x}/artifacts/package",
        "tags": [{"key": key, "value": value} for key, value in (own | tags).items()],
    }


@contextmanager
def stub_server(answer: Callable[[str], Answer]) -> Iterator[str]:
    """Yield the address of an HTTP server that answers every request with ``answer(path)``."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = respond

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def as_json(status: int, content: Any) -> Answer:
    """Return an answer with a JSON body."""
    return status, json.dumps(content).encode()
