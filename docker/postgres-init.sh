#!/usr/bin/env bash
# Run once by the postgres image, on an empty data folder: a role and a database for each address among the secrets.
# An address is scheme://role:password@host:port/database, as docker/make-secrets.sh writes it; what would need an
# escape in an address or in SQL is refused.
set -euo pipefail

for name in airflow_database mlflow_database nightshift_ledger; do
    address="$(cat "${SECRETS_FOLDER:-/run/secrets}/$name")"
    if [[ ! "$address" =~ ^[a-z0-9+]+://([A-Za-z0-9_]+):([A-Za-z0-9._~-]+)@[^/@]+/([A-Za-z0-9_]+)$ ]]; then
        echo "secret $name is no address of the form scheme://role:password@host:port/database (letters, digits, . _ ~ -)" >&2
        exit 1
    fi
    # the password goes through standard input, where no list of processes shows it
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\set role '${BASH_REMATCH[1]}'
\set password '${BASH_REMATCH[2]}'
\set database '${BASH_REMATCH[3]}'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"role";
REVOKE CONNECT ON DATABASE :"database" FROM PUBLIC;
SQL
    echo "made role and database ${BASH_REMATCH[3]}"
done
