"""Nightshift: the life of tabular XGBoost models, from versioned data to a watched champion.

The package knows models and not Airflow: every step runs as well from a shell
or a test as from a task.
"""
