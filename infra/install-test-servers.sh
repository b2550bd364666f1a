#!/usr/bin/env bash
# Installs what the tests need beside Python: Chromium with a Chinese font, Redis, PostgreSQL.
# Debian and Ubuntu; elsewhere install these yourself. Does nothing where all of it is there.
set -euo pipefail

wanted=()
has() { command -v "$1" >/dev/null; }
has chromium || has chromium-browser || has google-chrome || wanted+=(chromium)
has redis-server || has valkey-server || wanted+=(redis-server)
has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
[[ -n "$(fc-list :lang=zh 2>/dev/null)" ]] || wanted+=(fontconfig fonts-noto-cjk)
if ! python3 -c 'import ensurepip' 2>/dev/null; then wanted+=(python3-venv); fi

[[ ${#wanted[@]} -eq 0 ]] && exit 0
if ! has apt-get; then
    echo "please install: ${wanted[*]}" >&2
    exit 1
fi
echo "installing: ${wanted[*]}"
sudo=()
[[ $EUID -eq 0 ]] || sudo=(sudo)
"${sudo[@]}" apt-get update -qq
# The tests start servers of their own; the packages need not start theirs.
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
