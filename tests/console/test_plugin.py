"""Every part of Airflow loads the plugin: it must cost nothing until somebody looks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"mailcare", "pandas", "openpyxl", "weasyprint"}
PROGRAM = """
import sys
import airflow.plugins_manager, anyio.to_thread
before = set(sys.modules)
import runpy
runpy.run_path(sys.argv[1])
print(*sorted(set(sys.modules) - before))
"""


def test_the_plugin_imports_nothing_heavy():
    [plugin] = (ROOT / "plugins").glob("*.py")
    assert len(plugin.read_text("utf-8").splitlines()) < 60
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, plugin], capture_output=True, text=True, check=True
    )
    loaded = ran.stdout.splitlines()[-1].split() if ran.stdout.strip() else []
    assert not [one for one in loaded if one.split(".")[0] in HEAVY]
