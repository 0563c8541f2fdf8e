import os
import tempfile

# Airflow reads its settings when it is first imported: they must stand before any test does that.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="mailcare-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "False")
