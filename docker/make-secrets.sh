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

word() {  # 64 random characters (what SHA-512 wants of a key) that need no escape in an address, in JSON or in SQL
    head -c 48 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'
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
printf 'redis://:%s@features:6379/0' "$(word)" | keep nightshift_online

# Serving keeps digests of its callers' keys only. The first key opens everything; it is for you, and is not mounted.
word | keep serving_admin_key
chmod 400 "$folder/serving_admin_key"
printf 'admin admin %s\n' "$(sha256sum < "$folder/serving_admin_key" | cut -d ' ' -f 1)" | keep serving_keys
