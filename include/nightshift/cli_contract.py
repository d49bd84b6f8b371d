"""The part of the command ``nightshift`` that shows contracts for review."""

from typing import Annotated, Any

import typer
from rich.console import Console

from nightshift.cli_ledger import AsJson, Model, print_json
from nightshift.errors import ReleaseError
from nightshift.files import read_json, write_text
from nightshift.settings import Settings
from nightshift.spec import find_spec

app = typer.Typer()
OUT = Console(soft_wrap=True, markup=False, highlight=False)

Version = Annotated[str | None, typer.Option(help="Version whose contract to take; the champion's without it.")]
Write = Annotated[bool, typer.Option("--write", help="Put it into include/contracts, to be reviewed and committed.")]
Diff = Annotated[
    bool, typer.Option("--diff", help="Only how it differs from the reviewed one; exit status 1 if it does.")
]


@app.command()
def contract(
    model: Model, version: Version = None, write: Write = False, diff: Diff = False, as_json: AsJson = False
) -> None:
    """Show what a valid row of a model is, and how that differs from what was reviewed last."""
    from nightshift.profile.contract import Contract
    from nightshift.profile.review import differences, read_reviewed, reviewed_text

    settings = Settings.load()
    name = find_spec(settings.specs, model).name
    path = settings.contracts / f"{name}.yaml"
    drawn = Contract.from_json(_drawn(settings, name, version))
    reviewed = read_reviewed(path)
    changes = None if reviewed is None else differences(reviewed, drawn)
    if write:
        write_text(path, reviewed_text(drawn, name))
    if as_json:
        print_json(
            {
                "model": name,
                "contract": drawn.to_json(),
                "reviewed": str(path) if reviewed else None,
                "changes": changes,
            }
        )
    elif not diff and not write:
        OUT.print(drawn.to_yaml(), end="")
    else:
        for line in _lines(changes):
            OUT.print(line)
        if write:
            OUT.print(f"wrote {path}; review and commit it")
    raise typer.Exit(bool(diff and not write and changes != []))


def _lines(changes: list[str] | None) -> list[str]:
    if changes is None:
        return ["no contract has been reviewed yet"]
    return [f"- {change}" for change in changes] or ["the contract is the reviewed one"]


def _drawn(settings: Settings, model: str, version: str | None) -> Any:
    """Return the contract of a registered version, as JSON."""
    from nightshift.registry import ModelRegistry

    registry = ModelRegistry(settings.mlflow, settings.releases)
    if version is None:
        champion = registry.champion(model)
        if champion is None:
            raise ReleaseError(f"{model} has no champion; build one, or say which version with --version N")
        version = champion.version
    return read_json(registry.evidence(model, version, "contract.json"))
