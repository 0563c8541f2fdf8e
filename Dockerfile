# The slim image holds Airflow alone: what else runs here is what requirements.txt pins.
ARG REGISTRY=docker.io
FROM ${REGISTRY}/apache/airflow:slim-3.3.2-python3.12

LABEL org.opencontainers.image.title="mailcare" \
      org.opencontainers.image.description="Mail-maintenance service plan on Apache Airflow"

# Pango and HarfBuzz draw the PDF papers, set in Noto CJK and DejaVu. Backups are opened by the tools
# that wrote them; a drill loads accounts into a database and serves mail by Dovecot, for its time.
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        borgbackup \
        dovecot-imapd \
        fonts-dejavu-core \
        fonts-noto-cjk \
        libharfbuzz-subset0 \
        libpango-1.0-0 \
        libpangoft2-1.0-0 \
        mariadb-server \
        postgresql \
        restic \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o airflow -g root -m 0770 /var/lib/mailcare
USER airflow

ARG PIP_INDEX_URL=https://pypi.org/simple
COPY requirements.txt ./
RUN pip install --no-cache-dir --index-url "$PIP_INDEX_URL" --requirement requirements.txt

# Installed in place: the `mailcare` command, and one copy of the code, its templates beside it.
COPY --chown=airflow:root pyproject.toml README.md ./
COPY --chown=airflow:root deploy deploy
COPY --chown=airflow:root include include
COPY --chown=airflow:root plugins plugins
COPY --chown=airflow:root dags dags
RUN pip install --no-cache-dir --index-url "$PIP_INDEX_URL" --no-deps --editable . \
    && python -m compileall -q include plugins dags
