"""The vendor's own people: who may do what, and what they did."""
