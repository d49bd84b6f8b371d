"""Asks the real command lines, in a process of its own, whether they would take these commands.

Reads ``{"airflow": [argv…], "celery": [argv…], "mlflow": [argv…]}`` from standard
input and writes what each tool complained of, Airflow's options, and MLflow's
view of host names. Nothing is run: the arguments are only parsed.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click


def main() -> None:
    asked = json.load(sys.stdin)
    sys.stdout, answers = io.StringIO(), sys.stdout  # the tools print while they are imported
    refused = {
        "airflow": _refused(asked["airflow"], _airflow),
        "celery": _refused(asked["celery"], lambda argv: _click(import_module("celery.bin.celery").celery, argv)),
        "mlflow": _refused(asked["mlflow"], lambda argv: _click(import_module("mlflow.cli").cli, argv)),
    }
    hosts = {host: _is_allowed(asked["allowed_hosts"], host) for host in asked["hosts"]}
    json.dump({"refused": refused, "airflow": _options(), "hosts": hosts, "celery_app": _celery_app()}, answers)


def _refused(commands: list[list[str]], parse: Callable[[list[str]], None]) -> dict[str, str]:
    complaints = {}
    for argv in commands:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                parse(argv)
        except SystemExit as error:
            complaints[" ".join(argv)] = f"{error.code}: {said.getvalue()}"
        except click.ClickException as error:
            complaints[" ".join(argv)] = error.format_message()
    return complaints


def _airflow(argv: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    if not hasattr(get_parser().parse_args(argv), "func"):
        raise SystemExit("names no command")


def _click(command: Any, argv: list[str]) -> None:
    """Parse as click would, down to the last subcommand, and call none."""
    context = None
    while True:
        context = command.make_context(command.name, list(argv), parent=context)
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not isinstance(command, click.Group):
            return
        _, command, argv = command.resolve_command(context, rest)


def _options() -> dict[str, Any]:
    from airflow.configuration import conf

    described = conf.configuration_description
    return {
        "options": {section: sorted(content["options"]) for section, content in described.items()},
        "sensitive": sorted(map(list, conf.sensitive_config_values)),
    }


def _is_allowed(allowed: str, host: str) -> bool:
    from mlflow.server.security_utils import is_allowed_host_header

    return bool(is_allowed_host_header([one.strip() for one in allowed.split(",")], host))


def _celery_app() -> str:
    from airflow.providers.celery.executors import celery_executor

    return type(celery_executor.app).__name__


if __name__ == "__main__":
    main()
