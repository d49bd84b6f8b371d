"""Where DAGs meet: they never name each other."""

from airflow.sdk import Asset

from nightshift.spec import ModelSpec


def retrain_asset(spec: ModelSpec) -> Asset:
    """Asset whose update asks for a build; its event's ``extra`` holds ``as_of`` and ``reason``."""
    return Asset(name=spec.retrain_asset, uri=f"nightshift://{spec.retrain_asset}", group="nightshift")


def verdict_asset(spec: ModelSpec) -> Asset:
    """Asset whose update tells that a window was judged; its ``extra`` holds verdict, window and decision.

    For DAGs of others, which it starts; nothing of ours is scheduled on it.
    """
    return Asset(name=spec.verdict_asset, uri=f"nightshift://{spec.verdict_asset}", group="nightshift")


def champion_asset(spec: ModelSpec) -> Asset:
    """Asset whose update tells that another version answers; its ``extra`` holds ``version``."""
    return Asset(name=spec.champion_asset, uri=f"nightshift://{spec.champion_asset}", group="nightshift")
