#!/bin/sh
# housekeeping [--once]: each day, remove what Airflow never removes itself: rows of past runs and task logs older
# than KEEP_DAYS. Models, run folders, predictions and the ledger are evidence and are not touched.
set -eu
days="${KEEP_DAYS:-90}"
case "$days" in
    '' | *[!0-9]* | 0) echo "KEEP_DAYS is '$days'; give a whole number of days, at least 1" >&2; exit 1 ;;
esac

clean() {
    before="$(date --utc --date "$days days ago" +%Y-%m-%dT%H:%M:%S+00:00)"
    echo "removing Airflow's records and logs from before $before"
    airflow db clean --clean-before-timestamp "$before" --skip-archive --error-on-cleanup-failure --yes &&
        find "$AIRFLOW_HOME/logs" -type f -mtime "+$days" -delete &&
        find "$AIRFLOW_HOME/logs" -mindepth 1 -type d -empty -delete
}

if [ "${1:-}" = --once ]; then
    clean
    exit
fi
while true; do
    clean || echo "housekeeping failed; the next try is tomorrow" >&2
    sleep 86400
done
