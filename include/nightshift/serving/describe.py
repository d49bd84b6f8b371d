"""The prediction endpoint as OpenAPI tells of it. What answers is the hot path in ``predict.py``."""

from typing import Annotated, Any

from fastapi import FastAPI, Header, Path
from pydantic import BaseModel, ConfigDict, Field

from nightshift.serving.wire import ARROW

KEYS: Any = {"flight_id": "2013-05-01-UA-1545-EWR", "carrier": "UA", "origin": "EWR", "dest": "IAH"}
ROW: Any = {**KEYS, "scheduled_departure": "2013-05-01T10:00:00Z", "distance": 1400, "…": "all columns of the model"}
ENTITY: Any = {**KEYS, "tailnum": "N14228", "…": "all that features are looked up or computed by"}
ANSWER: Any = {
    "model": "flight_delay",
    "version": "3",
    "predictions": [
        {
            "prediction_id": "20130501T095958-17-4f0a9c2e00000001-0",
            "prediction": 1,
            "probability": 0.71,
            "problems": [{"column": "dest", "rule": "category", "value": "XXX", "allowed": ["ATL", "…"]}],
        }
    ],
}
REFUSED: Any = {
    "error": "the row breaks the contract, so nothing was answered; mend it",
    "problems": [{"row": 0, "column": "distance", "rule": "type", "value": "far", "allowed": "a number"}],
}


class PredictRequest(BaseModel):
    """One of the three: one row, up to 10,000 rows, or as many entities; each an object of named fields.

    A row holds the model's columns, which GET /v1/models/{model} tells, and may
    hold its key and its time, ISO 8601 with an offset. An entity holds the keys
    by which the model's features are looked up and what they are computed from:
    what GET /v1/models/{model} names under ``entity``.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"row": ROW}, {"rows": [ROW]}, {"entities": [ENTITY]}],
            "minProperties": 1,
            "maxProperties": 1,
        },
    )

    row: dict[str, Any] = Field(default_factory=dict)
    rows: list[dict[str, Any]] = Field(default_factory=list, min_length=1, max_length=10_000)
    entities: list[dict[str, Any]] = Field(default_factory=list, min_length=1, max_length=10_000)


class Flaw(BaseModel):
    """A rule that a value broke and that the contract lets pass."""

    column: str
    rule: str
    value: Any = None
    allowed: Any = None


class Prediction(BaseModel):
    """The answer to one row."""

    prediction_id: str
    prediction: float | int | str
    probability: float | None = Field(description="Of class 1 or of the chosen class; regression has none.")
    problems: list[Flaw] = Field(description="What is unusual in the row though it was answered.")
    probabilities: dict[str, float] | None = Field(default=None, description="By class; multiclass models only.")


class Answer(BaseModel):
    """All rows by the same version."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER]})

    model: str
    version: str
    predictions: list[Prediction]


class RowFlaw(Flaw):
    """A reason for which a row was turned away."""

    row: int


class Refusal(BaseModel):
    """What was found, what was expected, what to do; and every problem of every row at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [REFUSED]})

    error: str
    problems: list[RowFlaw]


class Pin(BaseModel):
    """Which version is to answer, and why."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={"examples": [{"version": "3", "reason": "version 4 takes every hub for unknown"}]},
    )

    version: str = Field(pattern=r"^[0-9]{1,9}$")
    reason: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")


MEANINGS = {
    400: "The body is no JSON, or no stream of Arrow IPC.",
    401: "No known key.",
    403: "The key has not the role for this.",
    404: "No such model.",
    409: "Not with this model or version: it cannot be had or pinned, or cannot be asked by keys.",
    413: "More bytes or rows than are taken.",
    415: "Neither JSON nor Arrow IPC by its content type, or compressed.",
    421: "Meant for another machine: without keys only loopback's own names are answered to.",
    422: "It breaks the contract, or is no such request; nothing was done.",
    429: "The key comes too often; see Retry-After.",
    503: "Not now: the answer could not be remembered, or the registry is away; see Retry-After.",
}
KEYED = (401, 403, 421, 429)
"""What any caller may be told where keys are asked for, and where none are."""
UNSAID = "Successful Response"
"""What FastAPI says where nothing is said."""
SECURED: dict[str, Any] = {"security": [{"key": []}, {}]}
SCHEMES = {"key": {"type": "http", "scheme": "bearer", "description": "Where the server has keys."}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how refusals with these statuses are described; all have one form."""
    return {status: {"model": Refusal, "description": MEANINGS[status]} for status in statuses}


def described(api: FastAPI) -> dict[str, Any]:
    """Return the description of the whole API."""
    found = api.openapi()
    found["components"]["securitySchemes"] = SCHEMES
    answers = [told["responses"].get("200", {}) for methods in found["paths"].values() for told in methods.values()]
    for answer in answers:
        if answer.get("description") == UNSAID:
            answer["description"] = "As asked."
    return found


def describe_predict(api: FastAPI) -> None:
    """Put the description of the prediction endpoint on ``api``."""

    @api.post(
        "/v1/models/{model}/predict",
        summary="Predict, durably logged before the answer leaves",
        response_model=Answer,
        response_description="Every row was answered, and all of it is in the log.",
        responses=refusals(400, *KEYED, 404, 409, 413, 415, 422, 503),
        openapi_extra={
            **SECURED,
            "requestBody": {"content": {ARROW.decode(): {"schema": {"type": "string", "format": "binary"}}}},
        },
    )
    async def predict(
        model: Annotated[str, Path(description="Name of a served model.")],
        body: PredictRequest,
        x_request_id: Annotated[
            str | None, Header(max_length=128, description="Sent again with the same body it gets the same answer.")
        ] = None,
    ) -> None:
        raise NotImplementedError("the hot path answers this")
