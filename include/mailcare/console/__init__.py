"""The console 维保控制台: pages inside Airflow's own, thin over the areas' steps."""
