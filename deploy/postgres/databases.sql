-- Run once by the PostgreSQL image, on an empty volume. Two owners, two databases: neither role
-- can open the other's. \getenv keeps the passwords out of the process list.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv mailcare_password MAILCARE_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE mailcare LOGIN PASSWORD :'mailcare_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE mailcare OWNER mailcare;
REVOKE CONNECT ON DATABASE airflow, mailcare FROM PUBLIC;
