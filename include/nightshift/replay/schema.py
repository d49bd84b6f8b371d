"""What a stranger's files hold: columns, task, and how the windows were cut."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from nightshift.errors import RequestError
from nightshift.spec import Kind


class Schema(BaseModel):
    """What ``--schema`` declares.

    ``ordered`` says that the rows of the reference, and the windows, follow each
    other in time; if not, windows are independent. ``window_rows`` are the sizes of
    the windows that will come.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: dict[str, Kind] = Field(min_length=1)
    task: Literal["binary", "multiclass", "regression"]
    ordered: bool = False
    window_rows: list[PositiveInt] = Field(default_factory=list)
    classes: list[str | int | float | bool] = Field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> "Schema":
        """Return the schema in ``path``; a RequestError if it is none."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise RequestError(f"{path} is no schema for replay: {error}") from error
