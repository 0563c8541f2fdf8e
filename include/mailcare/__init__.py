"""Carry out a mail-maintenance service plan: inspect, verify, visit, repair, survey."""

VERSION = "0.1.0"
