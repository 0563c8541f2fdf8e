"""The collectors, one module a channel: the only part of an inspection that opens sockets."""
