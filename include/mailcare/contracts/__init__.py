"""Contracts and what they allow: authorisation, entitlements, planning."""
