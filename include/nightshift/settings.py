"""What may differ between two machines: folders, addresses, durability.

What may differ between two models is in the spec. Everything here can be set
by an environment variable ``NIGHTSHIFT_<NAME>``, or in a container by a mounted
secret ``nightshift_<name>``; the defaults keep all state below
``<project>/.nightshift``.
"""

import difflib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nightshift.errors import SettingsError

SECRETS = Path("/run/secrets")
"""Where containers find secrets: an address with a password in it is in no environment and no `docker inspect`."""


PREFIX = "NIGHTSHIFT_"
DEPLOYMENT = {
    *("AIRFLOW_PORT", "AIRFLOW_URL", "ARTIFACTS", "KEEP_DAYS", "MLFLOW_HOSTS", "MLFLOW_PORT", "SECRETS"),
    *("SERVING_PORT", "TAG", "WORKERS", "WORKER_MEMORY", "WORKER_TASKS"),
}
"""What docker-compose.yaml reads besides: known here only so that it is not taken for a slip of the pen."""


def find_project() -> Path:
    """Return the project's root: the checkout this package is installed from, else the working folder."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "include" / "specs").is_dir() else Path.cwd()


class Settings(BaseSettings):
    """Folders and addresses of one installation.

    Relative paths are below ``project``. ``data_registry`` and ``data_remote``
    may be any address git and DVC understand; ``ledger`` is a SQLAlchemy URL;
    ``online`` is where features are kept by key, ``sqlite:///…`` or ``redis://…``;
    ``serving_keys`` is a file of callers' keys, without which serving listens on
    loopback only; ``serving_shadow`` is the share of requests that a newer release
    answers beside the champion, unseen.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", secrets_dir=SECRETS if SECRETS.is_dir() else None
    )

    project: Path = Path()
    state: Path = Path(".nightshift")
    specs: Path = Path("include/specs")
    lock: Path = Path("requirements.txt")

    data_registry: str = ""
    data_remote: str = ""
    ledger: str = ""
    online: str = ""
    mlflow: str = "http://127.0.0.1:5000"
    airflow: str = "http://127.0.0.1:8080"
    airflow_pages: str = ""
    serving: str = "http://127.0.0.1:8000"

    log_fsync: Literal["answer", "interval"] = "answer"
    serving_poll_seconds: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    serving_keys: str = ""
    serving_shadow: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _settle(cls, values: dict[str, Any]) -> dict[str, Any]:
        project = Path(values.get("project") or find_project()).resolve()
        state = project / (values.get("state") or ".nightshift")
        below = {
            "project": project,
            "state": state,
            "specs": project / (values.get("specs") or "include/specs"),
            "lock": project / (values.get("lock") or "requirements.txt"),
        }
        derived = {
            "data_registry": str(state / "data" / "registry.git"),
            "data_remote": str(state / "data" / "remote"),
            "ledger": f"sqlite:///{state / 'ledger.db'}",
            "online": f"sqlite:///{state / 'online.db'}",
        }
        given = {k: v for k, v in values.items() if v != ""}
        if "serving_keys" in given:
            given["serving_keys"] = str(project / given["serving_keys"])
        return derived | _running_addresses(state) | given | below

    @property
    def pages(self) -> str:
        """Where people open Airflow: what links in messages begin with."""
        return (self.airflow_pages or self.airflow).rstrip("/")

    @property
    def alerts(self) -> Path:
        """What people were told, and what waits for a channel."""
        return self.state / "alerts"

    @property
    def runs(self) -> Path:
        """Run folders: ``<runs>/<model>/<pipeline>/<run id>/``."""
        return self.state / "runs"

    @property
    def predictions(self) -> Path:
        """Prediction logs: ``<predictions>/<model>/``."""
        return self.state / "predictions"

    @property
    def releases(self) -> Path:
        """Verified local copies of registered packages: ``<releases>/<model>/<version>/``."""
        return self.state / "releases"

    @property
    def sources(self) -> Path:
        """Modules that read models' sources, next to the specs."""
        return self.specs.parent / "sources"

    @property
    def features(self) -> Path:
        """Point-in-time queries, next to the specs."""
        return self.specs.parent / "features"

    @property
    def contracts(self) -> Path:
        """Contracts that were reviewed, next to the specs: ``<contracts>/<model>.yaml``."""
        return self.specs.parent / "contracts"

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Return the settings of this process; ``values`` outrank the environment.

        Raises
        ------
        SettingsError
            If a variable cannot be used, or is nearly one that can; every bad one is named.
        """
        if slips := list(_slips(cls.model_fields)):
            raise SettingsError("; ".join(slips))
        try:
            return cls(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()} is {e['input']!r}: {e['msg']}" for e in error.errors()
            )
            raise SettingsError(f"{problems}. Change or unset it.") from None


def _slips(known: Iterable[str]) -> Iterator[str]:
    """Say what variables are nearly a setting: ignored, they would leave the default where somebody chose otherwise."""
    names = [name.upper() for name in known]
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in names or name in DEPLOYMENT or name.startswith(("CHANNEL_", "TEST_")):
            continue
        if near := difflib.get_close_matches(name, names, n=1, cutoff=0.7):
            yield f"{variable} is no setting; did you mean {PREFIX}{near[0]}? Rename or unset it"


def _running_addresses(state: Path) -> dict[str, str]:
    """Return where the services of ``nightshift up`` listen; ports may have moved out of somebody's way."""
    try:
        services = json.loads((state / "services.json").read_text())["services"]
        return {name: services[name]["url"] for name in ("mlflow", "airflow", "serving") if name in services}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
