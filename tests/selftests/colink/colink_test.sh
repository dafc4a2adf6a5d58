# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts among the tests share, for busybox's sh, to be read by them: say what the test
# needs, `check` each case, end with `finish`. Gives $model, the linked demo model, and $disk, the
# name of the disk that it is on.

model=$COLINK_DISK/linked.gguf
disk=$(sed -n "s,^/dev/\([^ ]*\) $COLINK_DISK .*,\1,p" /proc/mounts)
count=0
failed=0
within=

# need PROGRAM: all is skipped on a machine that does not have it, or no model.
need() {
	[ -x "/bin/$1" ] && [ -e "$model" ] && return
	echo "1..0 # SKIP no program $1 here"
	exit 4
}

# check NAME COMMAND ...: the case passes when the command does.
check() {
	name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		failed=1
	fi
}

# skip NAME REASON: a case that cannot be run here.
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# The module's counter of that name.
counter() { sed -n "s/^$1 //p" /sys/kernel/debug/colink/counters; }

less() { awk "BEGIN { exit !($1 < $2) }"; }

near() { # NAME VALUE EXPECTED MOST_MORE
	[ "$2" -ge "$3" ] && [ "$2" -le $(($3 + $4)) ] && return
	echo "# $1: $2, expected $3 to $(($3 + $4))"
	return 1
}

# in_group LIMIT COMMAND ...: the command, a function of the test, begins what it runs with
# $within, which puts that in a memory cgroup.
in_group() {
	within="within $1"
	shift
	"$@"
	status=$?
	within=
	return $status
}

finish() {
	echo "1..$count"
	exit $failed
}
