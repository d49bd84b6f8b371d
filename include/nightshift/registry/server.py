"""An MLflow server, asked over its REST API: no call waits longer than it may for a silent one.

MLflow's own client costs two seconds of work and 130 MB at import and takes
its time limits from the environment of the whole process. What is needed here
is a dozen calls of a public API, by processes that serve or that live for
seconds.
"""

import time
import weakref
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from nightshift.errors import RegistryUnavailableError, ReleaseError

API = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another moment may change."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
PAGE = 1000
ANSWER_BYTES_MAX = 256 * 1024 * 1024
"""No answer of the API comes near it; a server that sends more is not believed."""


class RefusedError(ReleaseError):
    """The server understood and said no; ``code`` is MLflow's word for it, ``reason`` its sentence."""

    def __init__(self, message: str, *, code: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def is_absent(self) -> bool:
        """Whether what was asked for is not there; a bare 404 is no such answer, but somebody else's server."""
        return self.code == "RESOURCE_DOES_NOT_EXIST"

    @property
    def is_taken(self) -> bool:
        """Whether what was to be made is there already."""
        return self.code == "RESOURCE_ALREADY_EXISTS"


class MlflowServer:
    """The server at ``url``; safe to share between threads.

    Parameters
    ----------
    url
        Where it listens; may hold a user and a password.
    wait_seconds
        How long a silence may last, repeats of the call included, before the server counts as away. A long
        download may take longer, as long as bytes come.
    """

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        self.address = _without_password(url)
        self._wait_seconds = wait_seconds
        self._client = httpx.Client(base_url=url.rstrip("/"))
        weakref.finalize(self, self._client.close)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the answer to a question."""
        return self._ask("GET", API + path, params=query)

    def post(self, path: str, **content: Any) -> dict[str, Any]:
        """Return the answer to an order."""
        return self._ask("POST", API + path, json=content)

    def patch(self, path: str, **content: Any) -> None:
        """Order that something be changed."""
        self._ask("PATCH", API + path, json=content)

    def delete(self, path: str, **content: Any) -> None:
        """Order that something be gone."""
        self._ask("DELETE", API + path, json=content)

    def pages(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield what is listed under ``key``, over all pages; one call for the first thousand."""
        token = ""
        while True:
            page = self.get(path, max_results=PAGE, **query, **({"page_token": token} if token else {}))
            yield from page.get(key, [])
            token = page.get("next_page_token", "")
            if not token:
                return

    def search_runs(self, experiment: str, filter_string: str) -> list[dict[str, Any]]:
        """Return the runs of an experiment that a filter of MLflow's language picks."""
        found = self.post("runs/search", experiment_ids=[experiment], filter=filter_string, max_results=PAGE)
        return list(found.get("runs", []))

    def upload(self, uri: str, content: bytes) -> None:
        """Put a file at an artifact's address, over what may be there."""
        self._request("PUT", _artifact_path(uri), content=content)

    def download(self, uri: str, *, bytes_max: int) -> bytes:
        """Return the bytes at an artifact's address; of more than ``bytes_max`` the rest is not read.

        What was cut short has another digest than what was kept, so that its reader refuses it.
        """
        return self._request("GET", _artifact_path(uri), bytes_max=bytes_max).content

    def check_health(self) -> None:
        """Return if it answers and says it is well."""
        self._request("GET", "/health")

    def _ask(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        answer = self._request(method, path, whole_json=True, **what)
        return dict(answer.json())

    def _request(
        self, method: str, path: str, *, whole_json: bool = False, bytes_max: int = ANSWER_BYTES_MAX, **what: Any
    ) -> httpx.Response:
        """Return the first answer that counts; ask again, with growing pauses, until the time is up."""
        until = time.monotonic() + self._wait_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = self._answer(method, path, bytes_max, timeout=max(until - time.monotonic(), 0.05), **what)
                trouble = _passing_trouble(answer, whole_json)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}".rstrip(": ")
            if trouble is None:
                return self._accept(answer)
            if time.monotonic() + pause >= until:
                raise self._unavailable(trouble)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _answer(self, method: str, path: str, bytes_max: int, **what: Any) -> httpx.Response:
        with self._client.stream(method, path, **what) as coming:
            content = bytearray()
            for part in coming.iter_bytes():
                content += part
                if len(content) > bytes_max:
                    break
            return httpx.Response(coming.status_code, content=bytes(content[: bytes_max + 1]), request=coming.request)

    def _accept(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        code, reason = _reason(answer)
        what = f"{answer.request.method} {answer.request.url.path}"
        raise RefusedError(
            f"MLflow at {self.address} refused {what} with {answer.status_code} {code}: {reason}",
            code=code,
            reason=reason,
        )

    def _unavailable(self, trouble: str) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"the model registry at {self.address} did not answer ({trouble}; it may take {self._wait_seconds:g} s). "
            "Look with `nightshift status`, start it with `make up`, or set NIGHTSHIFT_MLFLOW to where it listens."
        )


def as_pairs(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a mapping as MLflow writes tags and parameters.

    >>> as_pairs({"rounds": 300})
    [{'key': 'rounds', 'value': '300'}]
    """
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def _passing_trouble(answer: httpx.Response, whole_json: bool) -> str | None:
    """Return why this answer does not count yet; none if it does."""
    if answer.status_code in TRY_AGAIN or _is_lost_race(answer):
        return f"it answers {answer.status_code} {_reason(answer)[1]}".rstrip()
    if whole_json and answer.is_success:
        try:
            whole = isinstance(answer.json(), dict)
        except ValueError:
            whole = False
        return None if whole else f"it answers {answer.text[:80]!r} where JSON is due"
    return None


def _is_lost_race(answer: httpx.Response) -> bool:
    """Whether two callers wrote one row at once: MLflow calls that a bad request, the next try finds the row."""
    code, reason = _reason(answer)
    return (
        answer.status_code == HTTPStatus.BAD_REQUEST
        and "IntegrityError" in reason
        and code != "RESOURCE_ALREADY_EXISTS"
    )


def _reason(answer: httpx.Response) -> tuple[str, str]:
    try:
        content = answer.json()
        return str(content["error_code"]), str(content.get("message", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.reason_phrase, answer.text[:200]


def _artifact_path(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        raise ReleaseError(
            f"artifacts are kept at {parts.scheme or 'a plain path'}: and not behind the MLflow server; "
            "start it with --serve-artifacts and --artifacts-destination"
        )
    names = parts.path.strip("/").split("/")
    if any(name in ("", ".", "..") for name in names):
        raise ReleaseError(f"an artifact's address has the path {parts.path!r}; expected plain names between slashes")
    return ARTIFACTS + "/".join(quote(name, safe="") for name in names)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
