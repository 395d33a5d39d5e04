#!/usr/bin/env bash
# An arm64 machine to test against, emulated: a Debian userland under qemu behind an sshd on 127.0.0.1.
#
#   target.sh need       install what it needs with apt; exit status 1 where that cannot be
#   target.sh make DIR   build DIR/root (minutes, 0.4 GB) unless it is there
#   target.sh up DIR     make throw-away keys, start sshd; DIR/ssh_config then names the host `frostnas-arm64`
#   target.sh down DIR   stop sshd, unmount, remove the keys
#   target.sh remove DIR take down and delete DIR
#
# Needs root and debootstrap, qemu-user-static, binfmt-support, openssh-server and pip. DIR and its parents must not be
# writable by others (sshd's rule), so not under /tmp. The root has no /sys: what it would say of this machine's CPU
# makes the runtime crash.
set -euo pipefail

command=${1:-}
dir=${2:+$(mkdir -p "$2" && realpath "$2")}
root=$dir/root
port=${FROSTNAS_ARM_PORT:-2722}
python=${PYTHON:-python3}

need() {
    [ "$(id -u)" = 0 ] || { echo "target.sh: not root" >&2 && return 1; }
    local missing=
    for tool in debootstrap qemu-aarch64-static update-binfmts sshd; do
        command -v "$tool" >/dev/null || missing=$tool
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || { echo "target.sh: no apt-get" >&2 && return 1; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
        debootstrap qemu-user-static binfmt-support openssh-server openssh-client >/dev/null
}

drop_root() {
    ! mountpoint -q "$root/proc" || umount -l "$root/proc"
    rm -rf --one-file-system "$root"
}

make_root() {
    [ -e "$dir/.made" ] && return
    mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
    drop_root
    debootstrap --arch=arm64 --variant=minbase --include=python3 bookworm "$root" >"$dir/debootstrap.log" 2>&1 || {
        tail "$dir/debootstrap.log" >&2
        return 1
    }
    # Debian 12 has Python 3.11 and glibc 2.36; wheels come from here, where pip is fast. The runtime is this machine's.
    version=$("$python" -c 'import importlib.metadata as m; print(m.version("onnxruntime"))')
    "$python" -m pip install --quiet --disable-pip-version-check --target "$root/opt/site" --only-binary=:all: \
        --python-version 3.11 --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux2014_aarch64 numpy "onnxruntime==$version"
    echo /opt/site >"$root/usr/lib/python3/dist-packages/frostnas-site.pth"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    touch "$dir/.made"
}

up() {
    mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
    mkdir -p "$dir/keys" /run/sshd
    chmod 700 "$dir/keys"
    for key in host client; do
        ssh-keygen -q -t ed25519 -N "" -f "$dir/keys/$key" </dev/null
    done
    cp "$dir/keys/client.pub" "$dir/keys/authorized_keys"
    echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$dir/keys/host.pub")" >"$dir/keys/known_hosts"
    cat >"$dir/sshd_config" <<END
ListenAddress 127.0.0.1
Port $port
HostKey $dir/keys/host
AuthorizedKeysFile $dir/keys/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile $dir/sshd.pid
ChrootDirectory $root
Subsystem sftp internal-sftp
END
    cat >"$dir/ssh_config" <<END
Host frostnas-arm64
    HostName 127.0.0.1
    Port $port
    User root
    IdentityFile $dir/keys/client
    IdentitiesOnly yes
    UserKnownHostsFile $dir/keys/known_hosts
END
    "$(command -v sshd || echo /usr/sbin/sshd)" -f "$dir/sshd_config"
}

down() {
    if [ -s "$dir/sshd.pid" ]; then
        kill "$(cat "$dir/sshd.pid")" 2>/dev/null || true
        rm -f "$dir/sshd.pid"
    fi
    rm -rf "$dir/keys" "$dir/sshd_config" "$dir/ssh_config"
    ! mountpoint -q "$root/proc" || umount -l "$root/proc"
}

case $command in
need) need ;;
make) make_root ;;
up)
    make_root
    down
    up
    ;;
down) down ;;
remove)
    down
    drop_root
    rm -rf --one-file-system "$dir"
    ;;
*)
    sed -n '2,12p' "$0" >&2
    exit 2
    ;;
esac
