"""Nightshift's words for Airflow: steps as operators, declarations as DAGs, meeting points as assets."""
