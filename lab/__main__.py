"""Run the lab: `python -m lab up|down|status|exec|inject|heal|faults` (as root).

A real mail system on one machine: four hosts in network namespaces, no container engine.

up                   build what is missing; quick when nothing is
down                 end everything, leave nothing behind
status [--keys]      hosts, injected faults; exit code 0 when all is up
exec HOST -- CMD     run CMD in a host, or in the checker's seat (`core`: network only)
inject FAULT         break something, return when it can be observed
heal FAULT|all       undo it, return when it is over
faults               list what can be broken
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

from lab import faults, hosts, keys, lifecycle, network
from lab.commands import HOST_ENVIRONMENT
from lab.errors import LabError
from lab.topology import CORE_NAMESPACE, EVERY_HOST, find_host

REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        return _complain("the lab needs root (namespaces and mounts): use sudo / 需要 root 权限")
    try:
        return options.run(options)
    except LabError as error:
        return _complain(str(error))


def _complain(text: str) -> int:
    sys.stderr.write(f"lab: {text}\n")
    return REFUSED


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("up", help="build what is missing").set_defaults(run=_up)
    commands.add_parser("down", help="leave nothing behind").set_defaults(run=_down)
    commands.add_parser("faults", help="list the faults").set_defaults(run=_faults)
    look = commands.add_parser("status", help="hosts and injected faults")
    look.add_argument("--keys", action="store_true", help="print the public host keys instead")
    look.set_defaults(run=_status)
    execute = commands.add_parser("exec", help="run a command in a host or in `core`")
    execute.add_argument("host", choices=["core", *(host.name for host in EVERY_HOST)])
    execute.add_argument("command", nargs=argparse.REMAINDER)
    execute.set_defaults(run=_exec)
    for name, run in (("inject", _inject), ("heal", _heal)):
        change = commands.add_parser(name, help=f"{name} a fault")
        change.add_argument("fault")
        change.set_defaults(run=run)
    return parser


def _up(_options: argparse.Namespace) -> int:
    start = time.monotonic()
    built = lifecycle.up()
    text = f"built {', '.join(built)}" if built else "nothing to do"
    _say(f"lab is up: {text} ({time.monotonic() - start:.1f} s)")
    return 0


def _down(_options: argparse.Namespace) -> int:
    lifecycle.down()
    _say("lab is down")
    return 0


def _status(options: argparse.Namespace) -> int:
    if options.keys:
        for host in EVERY_HOST:
            _say(f"{host.address} {keys.openssh_public(keys.host_key(host.name))} {host.fqdn}")
        return 0
    now = lifecycle.status()
    _say(f"{'core':6}{'up' if now.is_core_up else 'DOWN'}")
    for one in now.hosts:
        idle = f"  not serving: {', '.join(one.idle)}" if one.idle else ""
        _say(f"{one.host.name:6}{'up' if one.is_up else 'DOWN':6}{one.host.address:14}{idle}")
    _say(f"faults: {', '.join(now.faults) or 'none'}")
    return 0 if now.is_up else 1


def _exec(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        message = "exec needs a command: python -m lab exec mx1 -- mailq"
        raise LabError(message)
    if options.host == "core":
        return _exec_in_core(command)
    return _become(hosts.get_running(find_host(options.host)).words(*command), HOST_ENVIRONMENT)


def _exec_in_core(command: list[str]) -> int:
    if not network.is_namespace(CORE_NAMESPACE):
        message = "the lab is down: run `python -m lab up` first"
        raise LabError(message)
    space = network.namespace_path(CORE_NAMESPACE)
    return _become(["nsenter", f"--net={space}", "--", *command], os.environ)


def _become(words: list[str], environment: Mapping[str, str]) -> NoReturn:
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        message = f"cannot start {words[0]}: {error}"
        raise LabError(message) from error


def _inject(options: argparse.Namespace) -> int:
    did = faults.inject(options.fault)
    _say(f"{options.fault}: {'injected' if did else 'was injected already'}")
    return 0


def _heal(options: argparse.Namespace) -> int:
    if options.fault == "all":
        _say(f"healed: {', '.join(faults.heal_all()) or 'nothing was injected'}")
        return 0
    did = faults.heal(options.fault)
    _say(f"{options.fault}: {'healed' if did else 'was not injected'}")
    return 0


def _faults(_options: argparse.Namespace) -> int:
    for fault in faults.ALL:
        _say(f"{fault.name:20}{fault.host.name:6}{fault.title}: {fault.effect}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
