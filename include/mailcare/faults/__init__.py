"""Faults 故障: events, the clocks derived from them, and the report."""
