"""The working calendar that the operator keeps: year tables loaded by one, confirmed by another."""
