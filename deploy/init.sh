#!/bin/bash
# Bring both databases to this version; see to the first administrator and to the pool that bounds
# the connections to customers' hosts. Safe to run again: what an operator changed stays.
set -euo pipefail

airflow db migrate

# Airflow asks for the password twice when it is not in its arguments, where every user of the
# machine could read it; without a terminal (setsid) it reads the answers from standard input.
printf '%s\n%s\n' "$ADMIN_PASSWORD" "$ADMIN_PASSWORD" |
    setsid --wait airflow users create \
        --username "$ADMIN_USER" --email "$ADMIN_EMAIL" \
        --firstname mailcare --lastname administrator --role Admin

airflow pools get customer_hosts >/dev/null 2>&1 ||
    airflow pools set customer_hosts 8 "Connections to customers' hosts at a time"

mailcare db upgrade
