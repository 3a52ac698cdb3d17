#!/bin/sh
# Notes in the file given what a package can leave behind: every path that stays over a boot, each user and group, each unit that systemd knows by a file. What apt, dpkg
# and the journal note of their own work is left out, Debian's copies of that, which it makes at midnight, and what the tests brought.
set -eu

{
  find / -xdev \( -path /srv -o -path /root -o -path /tmp -o -path /run -o -path /proc -o -path /sys -o -path /dev -o -path /var/log \
    -o -path /var/tmp -o -path /var/backups -o -path /var/lib/systemd/timers -o -path /var/cache/apt -o -path /var/lib/apt -o -path /var/lib/dpkg \) -prune -o -print | grep -v /__pycache__
  cut -d : -f 1 /etc/passwd | sed 's/^/user /'
  cut -d : -f 1 /etc/group | sed 's/^/group /'
  systemctl list-unit-files --no-legend --plain | awk '$2 != "transient" { print "unit", $1 }'
} | sort >"$1"
