#!/bin/sh
# Build one host's root file system inside fresh namespaces and become its process 1.
#
# hostinit.sh STATE_DIR HOSTNAME PLACE [PATH:SIZE:INODES]...
#
# PLACE is an empty directory of the machine that exists everywhere (/mnt); it is covered only in
# this mount namespace. Each PATH becomes a loop ext4 of that size. Nothing is cleaned up here:
# every mount and loop device ends with process 1, because only this namespace holds them.
set -eu
state=$1 name=$2 place=$3
shift 3

# The proc mount is still the machine's, so this is our process id as the machine sees it.
read -r pid _ </proc/self/stat

# The upper layer must not lie on the file system of the lower one: overlayfs refuses overlaps.
mount -t tmpfs -o size=2g,mode=755 tmpfs "$place"
cd "$place"
cp -a "$state/layers/." .
mkdir upper work root images
mount -t overlay -o "lowerdir=$place/seed:$place/mask:/,upperdir=$place/upper,workdir=$place/work" \
  overlay root

mount -t proc -o nosuid,nodev,noexec proc root/proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs root/sys
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts root/dev/pts

# A ramfs has no size, so df does not list the views as file systems.
if [ -d root/run/views ]; then
  mkdir views
  mount -t ramfs -o mode=755 ramfs views
  cp -a root/run/views/. views/
  mount --move views root/run/views
  for view in root/run/views/*; do
    mount --bind "$view" "root/proc/${view##*/}"
  done
fi

# Each host has started by itself, as machines do.
cat /proc/sys/kernel/random/uuid >boot_id
mount --bind boot_id root/proc/sys/kernel/random/boot_id

number=0
for volume in "$@"; do
  path=${volume%%:*} rest=${volume#*:}
  number=$((number + 1))
  image=images/$number.img
  truncate -s "${rest%%:*}" "$image"
  mkfs.ext4 -q -F -m 0 -O ^has_journal -N "${rest#*:}" "$image"
  mkdir -p new "root$path"
  mount -o loop "$image" new
  cp -a "root$path/." new/
  chown --reference="root$path" new
  chmod --reference="root$path" new
  rmdir new/lost+found
  mount --move new "root$path"
done

hostname "$name"
if [ -e /proc/sys/net/ipv6/conf/all/disable_ipv6 ]; then
  echo 1 >root/proc/sys/net/ipv6/conf/all/disable_ipv6 || true
fi

echo "$pid" >"$state/pid.new"
mv "$state/pid.new" "$state/pid"
cd root
pivot_root . .
umount -l .
exec chroot . /bin/sh /usr/local/sbin/lab-boot
