# The app that answers: the package, the declarations' names, and what serving imports. No Airflow, no MLflow, no git.
FROM python:3.11.14-slim-bookworm AS packages
WORKDIR /lock
COPY docker/serving-requirements.txt ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes --compile \
        --only-binary :all: --requirement serving-requirements.txt
COPY include/nightshift /opt/venv/lib/python3.11/site-packages/nightshift
RUN /opt/venv/bin/python -m compileall -q /opt/venv/lib/python3.11/site-packages/nightshift

FROM python:3.11.14-slim-bookworm
# the same numbers as in airflow.Dockerfile: both images write to the volume of the prediction log
RUN groupadd --gid 10001 nightshift \
 && useradd --uid 10001 --gid 10001 --create-home nightshift \
 && install --directory --owner nightshift --group nightshift /var/lib/nightshift /var/lib/nightshift/predictions
COPY --from=packages /opt/venv /opt/venv
COPY docker/answers.py /usr/local/bin/answers
COPY include/specs /opt/nightshift/include/specs
COPY include/features /opt/nightshift/include/features

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    NIGHTSHIFT_PROJECT=/opt/nightshift \
    NIGHTSHIFT_STATE=/var/lib/nightshift \
    OMP_WAIT_POLICY=PASSIVE \
    ORT_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=true
WORKDIR /var/lib/nightshift
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "nightshift.cli", "serve", "--host", "0.0.0.0", "--port", "8000"]
