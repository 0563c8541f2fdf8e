"""The annual remote inspection 远程巡检: ask, parse, judge, explain."""
