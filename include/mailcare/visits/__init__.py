"""On-site visits 现场巡检: the appointment, the three days, the sheet and the signed report."""
