#!/bin/bash
# A throw-away real systemd for tests: PID 1 of namespaces of its own, over this machine's own root.
# Needs root, unshare, nsenter, overlayfs, a cgroup2 that can be written, and systemd with dbus installed.
#
#   systemd_box.sh up            boot; prints the pid that its PID 1 has here when it is ready
#   systemd_box.sh exec CMD...   run CMD inside (input, output and exit code pass through)
#   systemd_box.sh down          end everything inside, remove what was made for it
#
#   BOX=DIR                      a folder of this box's own
#   BOX_BIND="DIR ..."           folders to be seen inside as well, writable: /tmp, /run and /dev are
#                                new inside, and other file systems than that of / are not there
#   BOX_TIMEOUT=20               seconds to wait until it is up
#
# Nothing is written to this machine's root: changes go to a tmpfs that ends with the box. Exit code 69
# says that this machine cannot have a box, and why.
set -euo pipefail
BOX=${BOX:?a folder} BOX_TIMEOUT=${BOX_TIMEOUT:-20}
SELF=$(readlink -f "$0")
die() { echo "systemd_box: $*" >&2; exit 69; }
pid1() { local p; p=$(cat "$BOX/pid" 2>/dev/null) && [ -d "/proc/$p" ] && echo "$p"; }
inside() {
  local p=$1; shift
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
    container=box nsenter -t "$p" -m -u -i -n -p -C -r -w -- "$@"
}

case ${1:-} in
__inner)  # in the new namespaces; becomes PID 1
  mount --make-rprivate /
  T=$BOX/t R=$BOX/t/root
  mount -t tmpfs -o mode=755 tmpfs "$T"; mkdir -p "$T/up" "$T/wk" "$R"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$T/up,workdir=$T/wk" "$R"
  mount -t proc proc "$R/proc"
  # Neither sysctl nor udev for this machine from within.
  mount --bind "$R/proc/sys" "$R/proc/sys"; mount -o remount,ro,bind "$R/proc/sys"
  mount -t sysfs -o ro sysfs "$R/sys"
  mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$R/dev"
  for d in null zero full random urandom tty; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
  mkdir -p "$R/dev/pts" "$R/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$R/dev/pts"; ln -s pts/ptmx "$R/dev/ptmx"
  mount -t tmpfs -o mode=1777 tmpfs "$R/dev/shm"
  ln -s /proc/self/fd "$R/dev/fd"; for i in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${i%%:*}" "$R/dev/${i##*:}"; done
  mount -t tmpfs -o mode=755 tmpfs "$R/run"; mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
  for b in ${BOX_BIND:-}; do mkdir -p "$R$b"; mount --rbind "$b" "$R$b"; done
  # Only what a test wants runs: forget what this machine enables, mask what a box must not do.
  E=$R/etc/systemd/system; mkdir -p "$E"; rm -rf "$E"/*.wants "$E"/*.requires
  for u in systemd-logind.service systemd-timesyncd.service systemd-udevd.service systemd-modules-load.service \
           systemd-remount-fs.service systemd-update-utmp.service systemd-random-seed.service systemd-sysctl.service \
           systemd-binfmt.service systemd-networkd.service systemd-resolved.service getty.target console-getty.service \
           sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
           dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount systemd-firstboot.service \
           ldconfig.service systemd-journal-catalog-update.service systemd-hwdb-update.service systemd-pcrphase.service \
           tmp.mount systemd-journald-audit.socket apt-daily.timer systemd-tmpfiles-clean.timer; do
    ln -sfn /dev/null "$E/$u"
  done
  printf '[Unit]\nDescription=Test box\nRequires=basic.target dbus.service\nAfter=basic.target dbus.service\nAllowIsolate=yes\n' >"$E/box.target"
  : >"$R/etc/fstab"; printf '%s\n' "$(tr -d - </proc/sys/kernel/random/uuid)" >"$R/etc/machine-id"
  mkdir -p "$R/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' >"$R/etc/systemd/journald.conf.d/box.conf"
  hostname box
  mkdir -p "$R/mnt/.old"; cd "$R"; pivot_root . mnt/.old; umount -l /mnt/.old
  mount --make-rshared /        # systemd leaves this out in a container
  exec env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --unit=box.target --show-status=0 --log-target=journal
  ;;
__outer)  # into the box's cgroup first: the cgroup namespace is rooted where its maker stands
  echo $BASHPID >"$(cat "$BOX/cgroup")/cgroup.procs"
  exec unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child=SIGKILL --propagation private "$SELF" __inner
  ;;
up)
  [ "$(id -u)" = 0 ] || die "needs root"
  pid1 >/dev/null && die "there is one already at $BOX"
  for c in unshare nsenter pivot_root dbus-daemon; do command -v $c >/dev/null || die "no $c"; done
  [ -x /lib/systemd/systemd ] || die "no systemd"
  mkdir -p "$BOX/t"
  hierarchy=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/self/mounts)
  [ -n "$hierarchy" ] || die "no cgroup2 is mounted"
  cgroup=$hierarchy/jobctl-box.$$
  mkdir "$cgroup" || die "cannot make a cgroup in $hierarchy"
  echo "$cgroup" >"$BOX/cgroup"
  export BOX BOX_BIND=${BOX_BIND:-}
  setsid "$SELF" __outer </dev/null >"$BOX/boot.log" 2>&1 &
  outer=$!
  end=$((SECONDS + BOX_TIMEOUT)) p=
  while [ $SECONDS -lt $end ] && kill -0 $outer 2>/dev/null; do
    for q in $(cat "$cgroup/cgroup.procs" "$cgroup/init.scope/cgroup.procs" 2>/dev/null); do
      [ "$(awk '/^NSpid/ {print $NF}' "/proc/$q/status" 2>/dev/null)" = 1 ] && p=$q && break
    done
    if [ -n "$p" ]; then
      echo "$p" >"$BOX/pid"
      state=$(inside "$p" timeout 2 systemctl is-system-running 2>/dev/null) || true
      case $state in running | degraded) echo "$p"; exit 0 ;; esac
    fi
    sleep 0.05
  done
  cat "$BOX/boot.log" >&2
  "$SELF" down >/dev/null 2>&1 || true
  die "it did not come up in $BOX_TIMEOUT s"
  ;;
exec) shift; p=$(pid1) || die "there is none at $BOX"; inside "$p" "$@" ;;
down)
  # The end of PID 1 is the end of every process inside; cgroup.kill reaches who was on the way in.
  if p=$(pid1); then kill -9 "$p" 2>/dev/null || true; fi
  if [ -f "$BOX/cgroup" ]; then
    cgroup=$(cat "$BOX/cgroup")
    for _ in $(seq 100); do
      [ ! -w "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill"
      [ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -d "$cgroup" ] || break
      sleep 0.05
    done
    [ ! -d "$cgroup" ] || { echo "systemd_box: $cgroup is left" >&2; exit 1; }
  fi
  rm -f "$BOX/pid" "$BOX/cgroup"; rmdir "$BOX/t"
  ;;
*) sed -n '2,17p' "$SELF" | sed 's/^# \{0,1\}//'; exit 64 ;;
esac
