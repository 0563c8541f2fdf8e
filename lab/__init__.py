"""A real mail system on one machine, built from network namespaces, with faults to inject."""
