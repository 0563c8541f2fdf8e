"""The report on a fault 故障处理报告: written, reviewed, issued, delivered and signed."""
