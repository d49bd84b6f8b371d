"""docker-compose.yaml against itself and against what it starts. No container is started here."""

import re
import tomllib
from typing import Any

import pytest

from factories.deployment import (
    ROOT,
    VARIABLE,
    Service,
    by_default,
    found,
    image_environment,
    read_yaml,
    strings_of,
)
from nightshift.services.house import TELEMETRY_OFF
from nightshift.serving.run import CONNECTIONS_MAX, GRACE_SECONDS
from nightshift.settings import Settings

COMPOSE = read_yaml(ROOT / "docker-compose.yaml")
SERVICES = sorted(COMPOSE["services"])
OURS = [name for name in SERVICES if "build" in COMPOSE["services"][name]]
TOLD = [name for name in OURS if "NIGHTSHIFT_MLFLOW" in COMPOSE["services"][name]["environment"]]
FINISHED = {"airflow-init"}
"""Services that end when their work is done."""
NO_DOOR = {"housekeeping"}
"""Services that only sleep and work: there is nothing to ask them."""
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|FERNET|_CONN|BROKER_URL|RESULT_BACKEND|LEDGER|_KEY")
WORD_IN_ADDRESS = re.compile(r"://[\w.%~-]*:[\w.%~-]+@")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, services: dict[str, Service]) -> Service:
    return services[request.param]


def test_all_that_production_needs_is_there(services: dict[str, Service]) -> None:
    parts = {"airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}

    assert services.keys() >= parts | {"airflow-worker", "postgres", "redis", "mlflow", "serving"}
    assert services["airflow-worker"].environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


@pytest.mark.parametrize("kind", ["volumes", "secrets", "networks"])
def test_what_a_service_names_is_declared_and_what_is_declared_is_used(kind: str, services: dict[str, Service]) -> None:
    named = {
        "volumes": {source for s in services.values() for source in s.mounts.values() if not source.startswith(".")},
        "secrets": {secret for s in services.values() for secret in s.secrets},
        "networks": {network for s in services.values() for network in s.content["networks"]},
    }[kind]

    assert named == set(COMPOSE[kind])


def test_a_file_that_is_mounted_exists(service: Service) -> None:
    files = [source for source in service.mounts.values() if source.startswith(".")]

    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_published_port_is_bound_to_the_loopback(service: Service) -> None:
    assert [port for port in service.ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_no_two_services_publish_the_same_port(services: dict[str, Service]) -> None:
    published = [port.split(":")[1] for service in services.values() for port in service.ports]

    assert len(published) == len(set(published)) == 3


def test_an_address_inside_names_a_service_a_shared_network_and_a_port_it_listens_on(
    service: Service, services: dict[str, Service]
) -> None:
    inside = re.findall(r"http://([a-z][a-z-]*):(\d+)", " ".join(service.environment.values()))

    for name, port in inside:
        assert port in services[name].container_ports, f"{service.name} calls {name}:{port}"
        assert set(service.content["networks"]) & set(services[name].content["networks"])


def test_the_stores_cannot_be_reached_from_outside(services: dict[str, Service]) -> None:
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    assert services["postgres"].content["networks"] == services["redis"].content["networks"] == ["stores"]
    assert "stores" not in services["serving"].content["networks"]


def test_features_by_key_are_on_a_redis_that_builds_and_serving_share_and_nobody_else(
    services: dict[str, Service], tmp_path: Any
) -> None:
    on = {name for name, service in services.items() if "features" in service.content["networks"]}
    made = (ROOT / "docker" / "make-secrets.sh").read_text()
    (tmp_path / "nightshift_online").write_text(found(r"printf '(redis://\S+)' .* keep nightshift_online", made))

    assert COMPOSE["networks"]["features"] == {"internal": True}
    assert {"features", "airflow-worker", "serving"} <= on
    assert on.isdisjoint({"postgres", "redis"})
    assert Settings.load(_secrets_dir=tmp_path).online == "redis://:%s@features:6379/0"
    assert "requirepass" in " ".join(services["features"].content["command"])


def test_a_service_waits_for_health_where_there_is_a_check(service: Service, services: dict[str, Service]) -> None:
    for name, condition in service.waits_for.items():
        wanted = "service_completed_successfully" if name in FINISHED else "service_healthy"
        assert condition == wanted, f"{service.name} waits for {name}"
        assert name in FINISHED or services[name].healthcheck


def test_every_lasting_service_with_a_door_has_a_health_check(service: Service) -> None:
    assert bool(service.healthcheck) == (service.name not in FINISHED | NO_DOOR)


def test_a_health_check_asks_the_port_that_is_published(service: Service) -> None:
    asked = {port for word in service.healthcheck or [] for port in re.findall(r"http://127\.0\.0\.1:(\d+)/", word)}

    if service.ports:
        assert asked == service.container_ports


def test_a_service_is_limited_restarted_logged_with_bounds_and_without_privileges(service: Service) -> None:
    content = service.content

    assert re.fullmatch(r"\d+[mg]", by_default(content["deploy"]["resources"]["limits"]["memory"]))
    assert content["restart"] == ("no" if service.name in FINISHED else "unless-stopped")
    assert content["logging"]["options"].keys() >= {"max-size", "max-file"}
    assert content["cap_drop"] == ["ALL"]
    assert content["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in content


def test_a_worker_may_end_its_tasks_and_a_long_task_is_not_given_to_a_second_worker(
    services: dict[str, Service],
) -> None:
    worker = services["airflow-worker"]
    dag = (ROOT / "dags" / "build.py").read_text()
    hours = int(found(r"dagrun_timeout=timedelta\(hours=(\d+)\)", dag))

    assert worker.content["stop_grace_period"] == "30m"
    assert int(worker.environment["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]) > hours * 3600


def test_serving_may_end_its_requests_and_open_its_connections(services: dict[str, Service]) -> None:
    content = services["serving"].content

    assert int(content["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS
    assert content["ulimits"]["nofile"]["hard"] >= content["ulimits"]["nofile"]["soft"] > 2 * CONNECTIONS_MAX


def test_images_of_others_are_pinned_and_run_as_nobody_important(service: Service) -> None:
    if service.is_ours:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert by_default(service.content["image"]) == f"nightshift/{service.dockerfile.name.split('.')[0]}:{version}"
    else:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+", service.content["image"])
        assert not service.content["user"].startswith("0")


# ---------------------------------------------------------------- secrets


def test_no_address_holds_a_password() -> None:
    held = [text for text in strings_of(COMPOSE) if WORD_IN_ADDRESS.search(by_default(text))]

    assert held == []


def test_a_variable_that_sounds_secret_holds_a_place_and_no_value(service: Service) -> None:
    places = re.compile(r"/run/secrets/\w+|secret \w+( \S+)?|/opt/airflow/passwords\.json")
    secretive = {name: value for name, value in service.environment.items() if SECRET_NAME.search(name)}

    assert {name: value for name, value in secretive.items() if not places.fullmatch(value)} == {}


def test_a_secret_has_no_default_but_a_file_of_this_installation() -> None:
    for name, content in COMPOSE["secrets"].items():
        assert by_default(content["file"]) == f"./docker/secrets/{name}"


def test_a_service_is_given_the_secrets_it_uses_and_no_other(service: Service) -> None:
    used = {command[1] for command in service.commands() if command[0] == "secret"}
    texts = list(strings_of(service.content.get("command", []))) + list(service.environment.values())
    texts += [(ROOT / source).read_text() for source in service.mounts.values() if source.startswith("./docker/")]
    used |= {name for name in COMPOSE["secrets"] for text in texts if re.search(rf"(/run/secrets/|\s){name}\b", text)}
    if "NIGHTSHIFT_DATA_REGISTRY" in service.environment and "stores" in service.content["networks"]:
        used |= {"nightshift_ledger", "nightshift_online"}  # read by nightshift.settings
    if service.name == "serving":
        used.add("nightshift_online")

    assert set(service.secrets) == used


def test_the_ledgers_address_is_read_from_its_secret(tmp_path: Any) -> None:
    assert "nightshift_ledger" in COMPOSE["secrets"]
    (tmp_path / "nightshift_ledger").write_text("postgresql+psycopg2://nightshift:word@postgres:5432/nightshift\n")

    assert (
        Settings.load(_secrets_dir=tmp_path).ledger == "postgresql+psycopg2://nightshift:word@postgres:5432/nightshift"
    )


# ---------------------------------------------------------------- settings


def test_every_variable_of_this_file_has_a_default_and_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    used = [match for text in strings_of(COMPOSE) for match in VARIABLE.finditer(text)]

    assert used
    assert {match["name"] for match in used if match["how"] != ":-"} == set()
    assert {match["name"] for match in used if f"`{match['name']}`" not in page} == set()


def test_no_variable_is_left_to_the_shell_of_the_host() -> None:
    bare = [text for text in strings_of(COMPOSE) if re.search(r"(?<!\$)\$(?![{$])", text)]

    assert bare == []


def test_nightshift_knows_every_setting_it_is_given(service: Service) -> None:
    given = service.environment | (image_environment(service.dockerfile) if service.is_ours else {})
    names = {name.removeprefix("NIGHTSHIFT_").lower() for name in given if name.startswith("NIGHTSHIFT_")}

    assert names <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", TOLD)
def test_the_settings_of_a_service_are_accepted(
    name: str, services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = services[name]
    for variable, value in (image_environment(service.dockerfile) | service.environment).items():
        if variable.startswith("NIGHTSHIFT_"):
            monkeypatch.setenv(variable, value)

    settings = Settings.load()

    assert settings.mlflow == "http://mlflow:5000"
    assert str(settings.predictions) in service.mounts
    assert str(settings.specs) == "/opt/nightshift/include/specs"


def test_airflow_knows_every_option_it_is_given(service: Service, tools: dict[str, Any]) -> None:
    options, sensitive = tools["airflow"]["options"], tools["airflow"]["sensitive"]
    given = service.environment | (image_environment(service.dockerfile) if service.is_ours else {})

    for name in given:
        if not name.startswith("AIRFLOW__"):
            continue
        section, _, key = name.removeprefix("AIRFLOW__").lower().partition("__")
        if key.endswith("_cmd"):
            key = key.removesuffix("_cmd")
            assert [section, key] in sensitive, f"Airflow reads no {name}: only sensitive options may be commands"
        assert key in options.get(section, []), f"Airflow has no option [{section}] {key}"


def test_what_airflow_keeps_secret_is_not_left_to_the_embedded_configuration(services: dict[str, Service]) -> None:
    embedded = (ROOT / "airflow.cfg").read_text()
    local = {line.split("_cmd =")[0] for line in embedded.splitlines() if "_cmd =" in line}
    given = {name.partition("__")[2].partition("__")[2].lower() for name in services["airflow-worker"].environment}

    assert local
    assert {f"{key}_cmd" for key in local} <= given


@pytest.mark.parametrize("name", OURS)
def test_our_images_send_no_telemetry(name: str, services: dict[str, Service]) -> None:
    service = services[name]
    asked = {variable: value for variable, value in TELEMETRY_OFF.items() if not variable.startswith("AIRFLOW__")}
    if name == "serving":  # it holds neither Great Expectations, DVC, Feast nor MLflow
        asked = {"DO_NOT_TRACK": asked["DO_NOT_TRACK"]}

    assert asked.items() <= image_environment(service.dockerfile).items()


def test_mlflow_answers_to_the_names_it_is_called_by_and_to_no_other(tools: dict[str, Any]) -> None:
    assert tools["hosts"] == {
        "mlflow:5000": True,
        "127.0.0.1:5000": True,
        "localhost:15000": True,
        "attacker.example:5000": False,
    }
