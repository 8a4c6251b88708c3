# Makes the first process of a machine: with the mounts, the root and the name that it shall have. It runs twice, and the second time in
# a cgroup namespace, whose root is the cgroup in which the process is when the namespace is made.
#   $1 folder that becomes the root   $2 name   $3 folder of this script's files   then controllers and folder of each of its cgroups
self=$0 root=$1 name=$2 files=$3
shift 3
if [ -z "$INSIDE" ]; then
  controllers=
  while [ $# -gt 0 ]; do
    echo 0 >"$2/cgroup.procs"
    controllers="$controllers $1"
    shift 2
  done
  INSIDE=yes exec unshare --cgroup /bin/sh -e "$self" "$root" "$name" "$files" $controllers
fi
hostname "$name"
ip link set lo up

mount -n --bind "$root" "$root"
cd "$root"
mount -n -t proc proc proc
mount -n -t sysfs sysfs sys
mount -n --rbind /dev dev
mount -n -t tmpfs tmpfs sys/fs/cgroup
for controller; do
  mkdir "sys/fs/cgroup/${controller#name=}"
  mount -n -t cgroup -o "$controller" cgroup "sys/fs/cgroup/${controller#name=}"
done

# The programs are the outer machine's, with some of the machine's own above them.
mount -n -t overlay overlay -o "lowerdir=/usr,upperdir=$files/usr,workdir=$files/usr.work" usr
for link in /bin /sbin /lib /lib32 /lib64; do
  if [ -L ".$link" ]; then continue; fi # the machine was on before
  if [ -L "$link" ]; then cp -P "$link" ".$link"; elif [ -d "$link" ]; then mkdir -p ".$link" && mount -n --bind "$link" ".$link"; fi
done
while read -r program place; do mount -n --bind "$program" "usr/$place"; done <"$files/programs"

# A kubelet sets these for the whole kernel (k8s.io/component-helpers v0.36.3 node/util/sysctl). It finds them set, in files.
for file in "$files"/sysctl/*; do mount -n --bind "$file" "proc/sys/$(basename "$file" | tr . /)"; done

mkdir .outside
pivot_root . .outside
umount -n -l .outside
rmdir .outside
mount -n --make-rshared / # as systemd does: what is mounted here reaches the containers that ask for it
exec 3>&1 >/dev/null 2>&1 </dev/null
echo ready >&3
exec 3>&-
exec /usr/sbin/init
