"""Releases of models, kept in MLflow; nothing outside this folder has heard of it."""

from nightshift.registry.registry import ModelRegistry
from nightshift.registry.release import Release

__all__ = ["ModelRegistry", "Release"]
