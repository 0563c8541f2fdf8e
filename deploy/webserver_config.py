"""Configure the login pages of Airflow's FAB auth manager; Flask reads the upper-case names."""

import os

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
WTF_CSRF_ENABLED = True
WTF_CSRF_TIME_LIMIT = None

# In memory, each process would count failed logins by itself and forget them at a restart.
RATELIMIT_STORAGE_URI = os.environ["RATELIMIT_STORAGE_URI"]
