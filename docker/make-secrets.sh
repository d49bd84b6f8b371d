#!/usr/bin/env bash
# make-secrets.sh [FOLDER]: write what docker-compose.yaml mounts as secrets; what exists is kept.
#
# The folder is closed to other users of this machine (0700). The files in it are readable (0444), because Docker
# mounts each one alone and with its mode, and the containers run as another user than yours.
set -euo pipefail

folder="${1:-$(dirname "$0")/secrets}"
mkdir -p "$folder"
chmod 700 "$folder"

keep() {  # keep NAME: write standard input there, unless there is something already
    local path="$folder/$1"
    if [[ -s "$path" ]]; then
        cat > /dev/null
        echo "kept   $path"
    else
        cat > "$path"
        chmod 444 "$path"
        echo "wrote  $path"
    fi
}

word() {  # a random word that needs no escape in an address, in JSON or in SQL
    head -c 36 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'
}

head -c 32 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_' | keep fernet_key
word | keep jwt_secret
word | keep api_secret_key
printf '{"admin": "%s", "operator": "%s", "viewer": "%s"}\n' "$(word)" "$(word)" "$(word)" | keep airflow_passwords
word | keep postgres_password
printf 'postgresql+psycopg2://airflow:%s@postgres:5432/airflow' "$(word)" | keep airflow_database
printf 'postgresql+psycopg2://mlflow:%s@postgres:5432/mlflow' "$(word)" | keep mlflow_database
printf 'postgresql+psycopg2://nightshift:%s@postgres:5432/nightshift' "$(word)" | keep nightshift_ledger
printf 'redis://:%s@redis:6379/0' "$(word)" | keep celery_broker
