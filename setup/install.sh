#!/bin/sh
# Install what is missing: Debian packages, uv, the locked environment. Safe to run again.
set -eu
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing_packages() {
    sed 's/#.*//' setup/debian-packages.txt | while read -r package; do
        [ -n "$package" ] || continue
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
    done
}

enabled_units() {
    [ ! -d /run/systemd/system ] || systemctl list-unit-files --state=enabled --no-legend | cut -d' ' -f1
}

# The lab starts its own servers in its own namespaces. The packages must not start theirs here,
# neither now (policy-rc.d) nor at the next boot (what this run enabled is disabled again).
install_packages() {
    policy=/usr/sbin/policy-rc.d
    mine=''
    if [ ! -e "$policy" ]; then
        mine=yes
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
    fi
    trap '[ -z "$mine" ] || as_root rm -f "$policy"' EXIT INT TERM
    before=$(enabled_units)
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    enabled_units | while read -r unit; do
        printf '%s\n' "$before" | grep -qxF "$unit" ||
            as_root systemctl disable -q "$unit" || say "could not disable $unit"
    done
    trap - EXIT INT TERM
    [ -z "$mine" ] || as_root rm -f "$policy"
}

debian() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: Debian packages are left out, so the lab and some tests are too"
        return
    fi
    packages=$(missing_packages)
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        say "not root and no sudo: these packages stay missing: $(echo $packages)"
        return
    fi
    if [ -e /run/mailcare-lab ]; then
        say "taking the lab down: its hosts stand on this machine's files"
        [ -x .venv/bin/python ] || { say "it is another clone's: run 'python -m lab down' there"; exit 1; }
        as_root .venv/bin/python -m lab down
    fi
    say "installing Debian packages: $(echo $packages)"
    install_packages $packages
}

environment() {
    stamp=.venv/.locked
    if [ -e "$stamp" ] && [ "$stamp" -nt requirements-dev.txt ] && [ "$stamp" -nt pyproject.toml ]; then
        return 0
    fi
    say "installing the locked Python environment into .venv"
    [ -x .tools/bin/uv ] || { python3 -m venv .tools && .tools/bin/pip install -q uv; }
    export UV_PYTHON_DOWNLOADS=never
    .tools/bin/uv venv -q --allow-existing --python python3 .venv
    VIRTUAL_ENV=.venv .tools/bin/uv pip sync -q requirements-dev.txt
    VIRTUAL_ENV=.venv .tools/bin/uv pip install -q --no-deps -e .
    say "byte-compiling it once: Airflow starts twice as fast"
    env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
    touch "$stamp"
}

debian
environment
