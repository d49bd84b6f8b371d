#!/bin/sh
# secret NAME [PREFIX]: print PREFIX and the secret mounted as NAME, without a line break at the end.
# Airflow takes the output of a *_CMD option as it is; a line break would become part of the key.
set -eu
folder="${SECRETS_FOLDER:-/run/secrets}"
name="${1:?usage: secret NAME [PREFIX]}"
if [ ! -r "$folder/$name" ]; then
    echo "secret $name: $folder/$name cannot be read; name it under 'secrets' of this service, and run docker/make-secrets.sh" >&2
    exit 1
fi
value="$(cat "$folder/$name")"
if [ -z "$value" ]; then
    echo "secret $name: $folder/$name is empty; write a value into it" >&2
    exit 1
fi
printf '%s%s' "${2:-}" "$value"
