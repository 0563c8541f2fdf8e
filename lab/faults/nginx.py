"""nginx on mx1: its configuration, changed for good before anybody looks."""

from lab import hosts
from lab.topology import MX1
from lab.waiting import wait_until

CONF = "etc/nginx/nginx.conf"


def write_nginx(conf: str) -> None:
    """Replace the configuration; return when no old worker is left that could still answer."""
    running = hosts.get_running(MX1)
    old = _workers()
    running.write(CONF, conf)
    running.run("nginx", "-s", "reload")
    wait_until(lambda: old.isdisjoint(_workers()), "end of nginx's old workers")


def _workers() -> frozenset[str]:
    found = hosts.get_running(MX1).attempt("pgrep", "-f", "nginx: worker process")
    return frozenset(found.text.split())
