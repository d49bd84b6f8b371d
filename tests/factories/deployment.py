"""Reads the files that describe production: compose, Dockerfiles, shell in YAML."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<how>:?[-?])?(?P<word>[^}]*)\}")
"""``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}``; ``$$`` is a dollar for the shell in the container."""
OPERATORS = frozenset({"&&", "||", ";", "|", "&", "(", ")"})
ASSIGNMENT = re.compile(r"^\w+=")
SOME_WORD = "2026-01-01"
"""Stands for what only a running shell knows: where it is used, a date is wanted, or any word will do."""


class _Strict(yaml.SafeLoader):
    """YAML without duplicate keys, of which the last would silently win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"{node.start_mark}: {sorted(twice)} given twice")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; a key given twice is an error."""
    return yaml.load(path.read_text(), Loader=_Strict)


def strings_of(content: Any) -> Iterator[str]:
    """Yield every text in nested lists and mappings, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from strings_of(key)
            yield from strings_of(value)
    elif isinstance(content, list):
        for value in content:
            yield from strings_of(value)


def found(pattern: str, text: str) -> str:
    """Return the first group of the first match; a text without one fails the test."""
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in {text[:500]}"
    return match[1]


def by_default(text: Any) -> str:
    """Return ``text`` as compose passes it on when no variable is set."""
    return VARIABLE.sub(lambda found: found["word"] if "-" in (found["how"] or "") else "", str(text)).replace(
        "$$", "$"
    )


@dataclass(frozen=True)
class Service:
    """One service of docker-compose.yaml, with the defaults of its variables filled in."""

    name: str
    content: dict[str, Any]

    @property
    def is_ours(self) -> bool:
        return "build" in self.content

    @property
    def dockerfile(self) -> Path:
        return ROOT / self.content["build"]["dockerfile"]

    @property
    def environment(self) -> dict[str, str]:
        return {name: by_default(value) for name, value in self.content.get("environment", {}).items()}

    @property
    def secrets(self) -> list[str]:
        return self.content.get("secrets", [])

    @property
    def ports(self) -> list[str]:
        return [by_default(port) for port in self.content.get("ports", [])]

    @property
    def container_ports(self) -> set[str]:
        return {port.rpartition(":")[2] for port in self.ports}

    @property
    def mounts(self) -> dict[str, str]:
        """Where in the container what is mounted: ``{target: volume or path}``."""
        parts = [by_default(volume).split(":") for volume in self.content.get("volumes", [])]
        return {part[1]: part[0] for part in parts}

    @property
    def healthcheck(self) -> list[str] | None:
        check = self.content.get("healthcheck")
        return [by_default(word) for word in check["test"]] if check else None

    @property
    def waits_for(self) -> dict[str, str]:
        return {name: how["condition"] for name, how in self.content.get("depends_on", {}).items()}

    def commands(self) -> list[list[str]]:
        """Return every command the service runs: its own or its script's, its health check's, its options'."""
        asked = [by_default(word) for word in self.content.get("command", [])]
        check = self.healthcheck or []
        found = commands_of(asked)
        if check[:1] == ["CMD"]:
            found += commands_of(check[1:])
        elif check[:1] == ["CMD-SHELL"]:
            found += commands_in(check[1])
        found += [shlex.split(value) for name, value in self.environment.items() if name.endswith("_CMD")]
        return found


def read_services() -> dict[str, Service]:
    """Return the services of docker-compose.yaml by name."""
    services = read_yaml(ROOT / "docker-compose.yaml")["services"]
    return {name: Service(name, content) for name, content in services.items()}


def commands_of(words: list[str]) -> list[list[str]]:
    """Return the commands of one command line: itself, or those of its ``sh -c`` script."""
    return commands_in(words[2]) if words[:2] == ["sh", "-c"] else [words] if words else []


def commands_in(script: str) -> list[list[str]]:
    """Return the simple commands of a shell script, those in ``$(…)`` first; what they give becomes a date.

    >>> commands_in('A="$(secret key)" && exec mlflow server --port 1')
    [['secret', 'key'], ['mlflow', 'server', '--port', '1']]
    """
    found: list[list[str]] = []
    inner = re.compile(r"\$\(([^()]*)\)")
    while match := inner.search(script):
        found += commands_in(match[1])
        script = script[: match.start()] + SOME_WORD + script[match.end() :]
    for line in re.sub(r"\\\n", " ", script).splitlines():
        tokens = shlex.shlex(line, posix=True, punctuation_chars=True)
        tokens.whitespace_split = True
        words: list[str] = []
        for token in [*tokens, ";"]:
            if token in OPERATORS:
                found += [_bare(words)] if _bare(words) else []
                words = []
            else:
                words.append(token)
    return found


def _bare(words: list[str]) -> list[str]:
    """Return a command without assignments and ``exec`` before it."""
    while words and (words[0] == "exec" or (ASSIGNMENT.match(words[0]) and len(words) > 1)):
        words = words[1:]
    return [] if words and ASSIGNMENT.match(words[0]) else words


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, with continued lines joined."""

    word: str
    rest: str


def read_dockerfile(path: Path) -> list[Instruction]:
    """Return the instructions of a Dockerfile; comments are dropped."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [Instruction(pair[0].upper(), pair[1]) for pair in pairs]


def image_environment(path: Path) -> dict[str, str]:
    """Return what the last stage of a Dockerfile sets by ENV."""
    found: dict[str, str] = {}
    for instruction in read_dockerfile(path):
        if instruction.word == "FROM":
            found = {}
        if instruction.word == "ENV":
            found |= dict(word.split("=", 1) for word in shlex.split(instruction.rest))
    return found


def tracked_files() -> list[str]:
    """Return the files git tracks, as paths below the root."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in done.stdout.decode().split("\0") if name]


def commands_in_page(path: Path) -> list[list[str]]:
    """Return the commands of a page: those of its shell blocks, and those in its text that name a tool of ours."""
    text = path.read_text()
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`((?:airflow|mlflow|nightshift|make|docker) [^`]+)`", text)
    return [command for script in blocks + spans for command in unwrapped(commands_in(script))]


def commands_in_workflow(path: Path) -> list[list[str]]:
    """Return the commands of a workflow's steps, those run in containers too."""
    steps = [step for job in read_yaml(path)["jobs"].values() for step in job["steps"]]
    return [command for step in steps for command in unwrapped(commands_in(step.get("run", "")))]


def unwrapped(commands: list[list[str]]) -> list[list[str]]:
    """Return the commands and, for those that run another one in a container, that one too."""
    return [each for command in commands for each in [command, *commands_of(inside(command)[1])]]


def inside(command: list[str]) -> tuple[str | None, list[str]]:
    """Return the service and the command of a ``docker compose exec`` or ``run``; nothing for another command.

    >>> inside(["docker", "compose", "exec", "-T", "postgres", "pg_dump", "airflow"])
    ('postgres', ['pg_dump', 'airflow'])
    """
    if command[:2] != ["docker", "compose"] or len(command) < 3 or command[2] not in ("exec", "run"):
        return None, []
    words = command[3:]
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("--user", "--env", "--workdir", "-u", "-e") else words[1:]
    return words[0], words[1:]


def run_script(name: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of ``docker/`` and return how it ended and what it said."""
    command = [str(ROOT / "docker" / name), *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
