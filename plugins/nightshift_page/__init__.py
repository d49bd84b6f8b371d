"""The page *Models* inside Airflow: what the ledger says, behind Airflow's own sign-in and permissions."""
