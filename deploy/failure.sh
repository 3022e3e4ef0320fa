#!/usr/bin/env bash
# Says what failed, and runs the operator's alert command: /etc/livebot/on-failure, if it can be executed, gets the
# market as its argument and the story on its standard input.
set -u
market=$1
unit="livebot@$market.service"
story="${STATE_DIRECTORY:-/var/lib/livebot-failures}/$market.txt"

{
  echo "livebot market $market has failed on $(uname -n) at $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo "Open positions keep the stops that they have at the venue; nothing else is done until it runs again."
  echo
  systemctl show "$unit" --property=Result,ExecMainCode,ExecMainStatus,NRestarts,StatusText,ActiveState
  echo
  echo "Its last lines:"
  journalctl --unit "$unit" --lines 40 --output cat --no-pager
  echo
  echo "Look: systemctl status $unit; journalctl --unit $unit"
  echo "Start it again: systemctl reset-failed $unit; systemctl start $unit"
} >"$story" 2>&1
cat "$story"

if [ -x /etc/livebot/on-failure ]; then
  if ! timeout 45 /etc/livebot/on-failure "$market" <"$story"; then
    echo "/etc/livebot/on-failure did not succeed: nobody may have been told" >&2
    exit 1
  fi
else
  echo "no alert command: put one at /etc/livebot/on-failure to be told elsewhere" >&2
fi
