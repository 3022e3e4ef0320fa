#!/usr/bin/env bash
# Installs livebot from this checkout as a systemd service, one instance for each market.  `--help` says how.
#
# Rules of this file: running it again changes nothing; a config, a key and a state are never overwritten or removed; what
# runs is never changed, because each version has a folder of its own and `current` moves only when that version's
# `livebot check` finds nothing wrong with any installed config.
set -euo pipefail
export LC_ALL=C

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly CHECKOUT
readonly PREFIX=/opt/livebot CONFIGS=/etc/livebot STATES=/var/lib/livebot UNITS=/etc/systemd/system
readonly LIBRARY=/usr/local/lib/livebot COMMAND=/usr/local/bin/livebot-on
readonly UNIT_FILES=(livebot@.service livebot-failure@.service livebot.slice livebot-retrain@.service livebot-retrain@.timer)
readonly OLD_SYSTEMD=$UNITS/livebot@.service.d/10-systemd-before-254.conf
readonly NEW_SYSTEMD=$UNITS/livebot@.service.d/10-systemd-from-253.conf
PYTHON=${PYTHON:-python3}

usage() {
  cat <<END
usage: deploy/install.sh [MARKET...]            install this checkout's livebot, and a place for each market
       deploy/install.sh --upgrade [MARKET...]  the same where another version is installed already
       deploy/install.sh --rollback [VERSION]   go back to the version before, or to any that is still there
       deploy/install.sh --list                 say which versions are there
       deploy/install.sh --uninstall            stop and remove all of it but configs, keys and states

A market is the name of an instance, such as perpetual or spot: a-z, 0-9, - and _, at most 32.  Nothing that runs is restarted:
do that for each market when it suits you (systemctl restart livebot@MARKET).  PYTHON=... names another Python (3.11+).
END
}

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit "${CODE:-3}"; }
misused() { CODE=2 fail "$* (see --help)"; }

# ---------------------------------------------------------------- what is there

markets() {
  local config
  for config in "$CONFIGS"/*/config.yaml; do
    [ -f "$config" ] && basename "$(dirname "$config")"
  done
  return 0
}

named() { # the version that a link names
  local target
  target=$(readlink "$PREFIX/$1" 2>/dev/null) || return 0
  basename "$target"
}

versions() {
  local complete
  for complete in "$PREFIX"/*/.complete; do
    [ -f "$complete" ] && [ ! -L "${complete%/.complete}" ] && basename "${complete%/.complete}"
  done
  return 0
}

# The project's version and a digest of all that is installed: the same content is the same version.
version_here() {
  local number digest
  number=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$CHECKOUT/pyproject.toml" | head -n 1)
  digest=$(cd "$CHECKOUT" && find livebot pyproject.toml requirements.lock -type f ! -path '*/__pycache__/*' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-10)
  say "$number-$digest"
}

# ---------------------------------------------------------------- steps

check_python() {
  "$PYTHON" - <<'END' || fail "livebot needs Python 3.11 or later with its venv module (apt-get install python3-venv), or PYTHON=..."
import sys, ensurepip, venv
sys.exit(sys.version_info < (3, 11))
END
}

make_user() {
  if ! getent passwd livebot >/dev/null; then
    useradd --system --user-group --home-dir "$STATES" --no-create-home --shell /usr/sbin/nologin livebot
    say "user livebot is made"
  fi
}

# A half-made folder of a run that was ended is made anew; one that is complete is never touched.
build() {
  local version=$1 folder=$PREFIX/$1
  [ -f "$folder/.complete" ] && return
  check_python
  say "building $folder"
  rm -rf "$folder"
  install -d -m 0755 "$PREFIX"
  "$PYTHON" -m venv "$folder"
  "$PYTHON" "$CHECKOUT/deploy/runtime_requirements.py" "$CHECKOUT/pyproject.toml" "$CHECKOUT/requirements.lock" \
    hatchling editables >"$folder/requirements.lock"
  take_over_from_current "$folder" ||
    "$folder/bin/pip" install --disable-pip-version-check --quiet --no-deps --require-hashes -r "$folder/requirements.lock"
  copy_of_the_checkout "$folder/source"
  "$folder/bin/pip" install --disable-pip-version-check --quiet --no-deps --no-build-isolation --force-reinstall \
    "$folder/source"
  rm -rf "$folder/source"
  install -d "$folder/share/doc/livebot" "$folder/share/livebot"
  install -m 0644 "$CHECKOUT/deploy/README.md" "$CHECKOUT/CHANGELOG.md" "$folder/share/doc/livebot/"
  install -m 0644 "$CHECKOUT/config.yaml" "$folder/share/livebot/"
  chmod -R go=rX "$folder"
  (cd / && "$folder/bin/python" -c 'import livebot.bootstrap, livebot.cli.app') ||
    fail "what was built in $folder does not run: is requirements.lock of this checkout whole?"
  touch "$folder/.complete"
}

# What the present version was given, checked by hash, is what this one needs too, if lock and Python are the same.
take_over_from_current() {
  local folder=$1 packages
  cmp -s "$PREFIX/current/requirements.lock" "$folder/requirements.lock" || return 1
  [ "$(grep '^version' "$PREFIX/current/pyvenv.cfg")" = "$(grep '^version' "$folder/pyvenv.cfg")" ] || return 1
  packages=$(cd "$folder" && echo lib/python3.*/site-packages)
  cp -a --reflink=auto "$PREFIX/current/$packages/." "$folder/$packages/"
}

# A build writes beside its sources: it gets its own, and the checkout stays as it is.
copy_of_the_checkout() {
  install -d "$1"
  (cd "$CHECKOUT" && tar --exclude=__pycache__ -cf - livebot pyproject.toml README.md) | tar -xf - -C "$1" --no-same-owner
}

install_units() {
  local file number
  for file in "${UNIT_FILES[@]}"; do
    install -m 0644 "$CHECKOUT/deploy/$file" "$UNITS/$file"
  done
  number=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')
  install -d -m 0755 "$(dirname "$OLD_SYSTEMD")"
  rm -f "$OLD_SYSTEMD" "$NEW_SYSTEMD"
  if [ "$number" -lt 254 ]; then
    printf '%s\n' '# This systemd knows no growing waits: twenty restarts, 45 s apart, take a quarter of an hour.' \
      '[Service]' 'RestartSec=45' >"$OLD_SYSTEMD"
  fi
  if [ "$number" -ge 253 ]; then
    printf '%s\n' '# This systemd asks for a reload by itself, and waits until it is over.' \
      '[Service]' 'Type=notify-reload' 'ExecReload=' >"$NEW_SYSTEMD"
  fi
  install -D -m 0755 "$CHECKOUT/deploy/failure.sh" "$LIBRARY/failure"
  install -D -m 0755 "$CHECKOUT/deploy/livebot-on.sh" "$COMMAND"
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

make_market() {
  local market=$1 folder=$CONFIGS/$1
  install -d -m 0750 -g livebot "$CONFIGS" "$folder" "$folder/strategies"
  if [ ! -e "$folder/config.yaml" ]; then
    sed "s/^system: demo /system: $market /" "$CHECKOUT/config.yaml" >"$folder/config.yaml.new"
    install -m 0640 -g livebot "$folder/config.yaml.new" "$folder/config.yaml"
    rm "$folder/config.yaml.new"
    say "$folder/config.yaml is an example on the simulated venue: make it yours"
  fi
  if [ ! -e "$folder/environment" ]; then
    printf '%s\n' "# Read by livebot@$market.  No keys in here: they are credentials, see $PREFIX/current/share/doc/livebot/README.md" \
      '# LIVEBOT_CONFIRM_LIVE=name-of-the-system' '# LIVEBOT_LOG_LEVEL=info' >"$folder/environment.new"
    install -m 0640 -g livebot "$folder/environment.new" "$folder/environment"
    rm "$folder/environment.new"
  fi
}

# With what the service would have but its credentials, whose place is taken by words: the daemon checks those at its start.
check_config() {
  local version=$1 market=$2 given=() alerts=()
  if [ -f "$CONFIGS/$market/environment" ]; then
    mapfile -t given < <(grep -E '^[A-Za-z_][A-Za-z0-9_]*=' "$CONFIGS/$market/environment" || true)
  fi
  mapfile -t alerts < <(grep -o 'LIVEBOT_ALERT_[A-Z0-9_]*' "$CONFIGS/$market/config.yaml" | sort -u | sed 's,$,=json://localhost,')
  (cd / && runuser -u livebot -- env -i PATH="$PATH" PYTHONPATH="$CONFIGS/$market/strategies" PYTHONDONTWRITEBYTECODE=1 \
    LIVEBOT_API_KEY=not-looked-at LIVEBOT_API_SECRET=not-looked-at \
    LIVEBOT_CONTROL_TOKEN=not-looked-at-not-looked-at-not-looked-at "${alerts[@]}" "${given[@]}" \
    "$PREFIX/$version/bin/livebot" check --config "$CONFIGS/$market/config.yaml" --root "$STATES/$market")
}

switch() {
  local version=$1 before market bad=()
  before=$(named current)
  for market in $(markets); do
    say "livebot $version checks $CONFIGS/$market/config.yaml"
    check_config "$version" "$market" || bad+=("$market")
  done
  if [ "${#bad[@]}" -gt 0 ]; then
    fail "nothing was switched, ${before:-no version} stays current: mend the config of ${bad[*]}, then run this again"
  fi
  [ "$before" != "$version" ] || return 0
  [ -z "$before" ] || link previous "$before"
  link current "$version"
  say "current is now $version${before:+ (before: $before)}"
  [ -z "$before" ] || say "what runs goes on with what it had: systemctl restart livebot@MARKET, one at a time"
}

link() { # atomically: there is no instant without a `current`
  ln -sfn "$2" "$PREFIX/.$1.new"
  mv -T "$PREFIX/.$1.new" "$PREFIX/$1"
}

# ---------------------------------------------------------------- commands

put_in() {
  local upgrade=$1 version before market
  shift
  for market in "$@"; do
    [[ $market =~ ^[a-z0-9][a-z0-9_-]{0,31}$ ]] || misused "$market is no name for a market"
  done
  version=$(version_here)
  before=$(named current)
  if [ "$upgrade" = no ] && [ -n "$before" ] && [ "$before" != "$version" ]; then
    misused "version $before is installed, and this checkout is $version: use --upgrade"
  fi
  [ "$upgrade" = no ] || [ -n "$before" ] || misused "nothing is installed yet: run it without --upgrade"
  make_user
  build "$version"
  for market in "$@"; do
    make_market "$market"
  done
  switch "$version"
  install_units
  for market in $(markets); do
    say "$market: systemctl enable --now livebot@$market; livebot-on $market status"
  done
}

roll_back() {
  local version=${1:-$(named previous)}
  [ -n "$version" ] || misused "there is no version before the present one"
  [ -f "$PREFIX/$version/.complete" ] || misused "$version is not there; there are: $(versions | tr '\n' ' ')"
  switch "$version"
}

list() {
  local version
  for version in $(versions); do
    case $version in
      "$(named current)") say "$version (current)" ;;
      "$(named previous)") say "$version (previous)" ;;
      *) say "$version" ;;
    esac
  done
}

uninstall() {
  if [ -d /run/systemd/system ]; then
    systemctl list-units --all --plain --no-legend 'livebot-retrain@*.timer' 'livebot-retrain@*.service' 'livebot@*.service' | while read -r unit _; do
      say "stopping $unit"
      systemctl disable --now "$unit" </dev/null
      systemctl reset-failed "$unit" 2>/dev/null || true # one that had failed would stay listed
    done
    systemctl stop livebot.slice || true
  fi
  find "$UNITS" '(' -path '*.wants/livebot@*.service' -o -path '*.wants/livebot-retrain@*.timer' ')' -delete
  rm -f "${UNIT_FILES[@]/#/$UNITS/}" "$OLD_SYSTEMD" "$NEW_SYSTEMD" "$LIBRARY/failure" "$COMMAND"
  rmdir "$(dirname "$OLD_SYSTEMD")" "$LIBRARY" 2>/dev/null || true
  rm -rf "$PREFIX"
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
  say "removed.  Left: $CONFIGS, $STATES, /etc/credstore.encrypted/livebot.*, the user livebot, and drop-ins of yours in $UNITS"
}

main() {
  case ${1:-} in
    -h | --help) usage; return ;;
  esac
  [ "$(id -u)" = 0 ] || misused "only root can do this: sudo $0 ${*:-MARKET}"
  install -d -m 0755 "$PREFIX"
  exec 9>"$PREFIX/.lock"
  flock -n 9 || fail "another install.sh is at work"
  case ${1:-} in
    --upgrade) put_in yes "${@:2}" ;;
    --rollback) [ $# -le 2 ] || misused "one version at most"; roll_back "${@:2}" ;;
    --list) list ;;
    --uninstall) [ $# = 1 ] || misused "--uninstall takes nothing"; uninstall ;;
    -*) misused "$1 is not known" ;;
    *) put_in no "$@" ;;
  esac
}

main "$@"
