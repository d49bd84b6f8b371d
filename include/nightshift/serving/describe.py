"""The prediction endpoint as OpenAPI tells of it. What answers is the hot path in ``predict.py``."""

from typing import Annotated, Any

from fastapi import FastAPI, Header, Path
from pydantic import BaseModel, ConfigDict, Field

from nightshift.serving.wire import ARROW

ROW: Any = {"flight_id": "2013-05-01-UA-1545-EWR", "scheduled_departure": "2013-05-01T10:00:00Z", "carrier": "UA"}


class PredictRequest(BaseModel):
    """One row, or up to 10,000: each an object of named fields in any order.

    A row holds the model's columns (``GET /v1/models/{model}``) and may hold its
    key and its time, ISO 8601 with an offset.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"row": ROW}, {"rows": [ROW]}]})

    row: dict[str, Any] | None = None
    rows: list[dict[str, Any]] | None = Field(default=None, min_length=1, max_length=10_000)


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

    model: str
    version: str
    predictions: list[Prediction]


class RowFlaw(Flaw):
    """A reason for which a row was turned away."""

    row: int


class Refusal(BaseModel):
    """What was found, what was expected, what to do; and every problem of every row at once."""

    error: str
    problems: list[RowFlaw]


class Pin(BaseModel):
    """Which version is to answer."""

    model_config = ConfigDict(extra="forbid")

    version: str = Field(pattern=r"^[0-9]{1,9}$", examples=["3"])


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The body is no JSON."},
    401: {"model": Refusal, "description": "No known key."},
    404: {"model": Refusal, "description": "No such model."},
    413: {"model": Refusal, "description": "More bytes or rows than are taken."},
    415: {"model": Refusal, "description": "The body is not JSON by its content type."},
    422: {"model": Refusal, "description": "Rows break the contract; nothing was answered."},
    429: {"model": Refusal, "description": "The key comes too often; see Retry-After."},
    503: {"model": Refusal, "description": "The answer could not be remembered, so it is not given; see Retry-After."},
}


def describe_predict(api: FastAPI) -> None:
    """Put the description of the prediction endpoint on ``api``."""

    @api.post(
        "/v1/models/{model}/predict",
        summary="Predict, durably logged before the answer leaves",
        response_model=Answer,
        responses=REFUSALS,
        openapi_extra={
            "requestBody": {"content": {ARROW.decode(): {"schema": {"type": "string", "format": "binary"}}}}
        },
    )
    async def predict(
        model: Annotated[str, Path()],
        body: PredictRequest,
        x_request_id: Annotated[
            str | None, Header(max_length=128, description="Sent again with the same body it gets the same answer.")
        ] = None,
    ) -> None:
        raise NotImplementedError("the hot path answers this")
