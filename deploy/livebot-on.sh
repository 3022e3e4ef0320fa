#!/bin/sh
# livebot-on MARKET COMMAND...: any command of livebot for one installed market, such as `livebot-on spot status`.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: livebot-on MARKET COMMAND..., such as: livebot-on spot status" >&2
  exit 2
fi
market=$1
command=$2
shift

# Commands that look at keys get the sealed ones of the service, which nobody else can open.
with_credentials() {
  for sealed in "/etc/credstore.encrypted/livebot.$market."*; do
    [ -f "$sealed" ] && set -- --property="LoadCredentialEncrypted=${sealed##*".$market."}:$sealed" "$@"
  done
  exec systemd-run --quiet --pipe --wait --collect --uid=livebot --gid=livebot --setenv=PYTHONPATH="$PYTHONPATH" \
    --setenv=PYTHONDONTWRITEBYTECODE=1 --property=EnvironmentFile=-"/etc/livebot/$market/environment" "$@"
}

config=/etc/livebot/$market/config.yaml
if [ "$(id -un)" != livebot ] && [ "$(id -u)" != 0 ]; then
  echo "livebot-on: only root and the user livebot may do that: sudo livebot-on $market $*" >&2
  exit 3
fi
if [ ! -f "$config" ]; then
  echo "livebot-on: no market $market: $config is not there" >&2
  exit 2
fi
export PYTHONPATH="/etc/livebot/$market/strategies" PYTHONDONTWRITEBYTECODE=1
set -- /opt/livebot/current/bin/livebot "$@" --config "$config"
[ "$command" = alerts ] || set -- "$@" --root "/var/lib/livebot/$market" # a test of the channels keeps nothing
[ "$(id -u)" = 0 ] || exec "$@"
case $command in
  check | alerts | train | models | compare | drift | evaluate) [ ! -d /run/systemd/system ] || with_credentials "$@" ;;
esac
exec runuser -u livebot -- "$@"
