"""The services of one machine: Airflow's four components, MLflow and serving, started and stopped as one."""
