#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# ENDURE_SECONDS (20) of what users and systems do to each other, in an order that ENDURE_SEED (1)
# gives: runs by every source, short of memory and not; `colink load`, its holder killed; runs
# killed; `colink stat` killed; the module removed and loaded again, with runs under way and
# without; the page cache dropped. No run has too little memory to go on, and every one that gets
# to its end has made the tokens that the first one made.
. "$(dirname "$0")/colink_test.sh"
need colink

seconds=${ENDURE_SECONDS:-20}
seed=${ENDURE_SEED:-1}
state=/tmp/endure.state
dir=/tmp/endure
mkdir -p $dir
runs=0
kills=0
loads=0
loaded=0
reloads=0
wrong=0

# The next of 0 ... $1 - 1.
random() {
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	random=$((seed / 65536 % $1))
}

run() { colink run "$model" -p 'And it came to pass' -n 3 --ignore-eos --threads 1 --json "$@"; }
tokens() { sed -n 's/.*"tokens": *\[\([^]]*\)\].*/\1/p' "$1"; }

# What is wrong with a run that ended by itself: other tokens, or a message that it may not have.
# Where the module is gone, to say so is right.
look_at() { # NAME STATUS
	if [ "$2" = 0 ]; then
		[ "$(tokens $dir/out)" = "$expected" ] && return
		echo "# $1: tokens $(tokens $dir/out), expected $expected"
	elif grep -q 'the module is not loaded' $dir/err; then
		return
	else
		echo "# $1: status $2: $(head -n 1 $dir/err)"
	fi
	wrong=$((wrong + 1))
}

# A mapped file's reads are counted for the process, where the kernel does.
if grep -q read_bytes /proc/self/io 2>/dev/null; then mapped='--io mmap --cache-ratio 0'; else mapped='--io kernel'; fi

# By any source; every other time in a group in which the bundles have not all room.
source_options() {
	random 5
	case $random in
	0) options='--io uring' ;;
	1) options=$mapped ;;
	2) options='--io pread' ;;
	3) options='--io kernel --after-use drop' ;;
	4) options='--io kernel' ;;
	esac
}

start_run() {
	group=/sys/fs/cgroup/endure
	mkdir $group
	random 2
	[ $random = 0 ] || [ "$options" = '--io uring' ] || [ "$options" = '--io pread' ] ||
		echo 24M >$group/memory.max
	(
		read -r pid rest </proc/self/stat
		echo "$pid" >$group/cgroup.procs
		run $options >$dir/out 2>$dir/err
	) &
	running=$!
}

# Let it run, kill it after a while, or remove the module meanwhile.
whole_run() {
	source_options
	random 3
	fate=$random
	start_run
	case $fate in
	1)
		random 3000
		usleep $((random * 1000))
		echo 1 >$group/cgroup.kill
		kills=$((kills + 1))
		wait $running
		;;
	2)
		random 2000
		usleep $((random * 1000))
		reload
		;;
	esac
	if [ $fate != 1 ]; then
		wait $running
		look_at "$options" $?
		runs=$((runs + 1))
	fi
	if ! grep -q '^oom_kill 0' $group/memory.events; then
		echo "# $options: no memory was left in its group"
		wrong=$((wrong + 1))
	fi
	# The killed are gone a moment later.
	until rmdir $group 2>/dev/null; do usleep 10000; done
}

# A module in use stays; one that is not goes, and comes back.
reload() {
	rmmod colink 2>/dev/null && reloads=$((reloads + 1))
	lsmod | grep -q '^colink ' || insmod "$COLINK_MODULE"
}

# BPF on or off; sometimes its holder dies without notice.
toggle_load() {
	if [ $loaded = 1 ]; then
		random 3
		[ $random != 0 ] || kill_holder
		colink unload "$model" --state $state >/dev/null 2>&1
		loaded=0
	elif colink load "$model" --state $state >/dev/null 2>$dir/load; then
		loads=$((loads + 1))
		loaded=1
	elif ! grep -qE 'the module is not loaded|BTF' $dir/load; then
		echo "# load: $(head -n 1 $dir/load)"
		wrong=$((wrong + 1))
	fi
}

kill_holder() {
	pid=$(colink load "$model" --status --state $state --json 2>/dev/null |
		sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
	[ -z "$pid" ] || kill -KILL "$pid"
	kills=$((kills + 1))
}

count_a_while() {
	colink stat "$model" --interval 3600 --json >/dev/null 2>&1 &
	random 4000
	usleep $((random * 1000))
	kill -KILL $!
	wait $!
	kills=$((kills + 1))
}

run --io uring >$dir/out 2>$dir/err
check 'a first run' test $? = 0
expected=$(tokens $dir/out)
check 'it makes tokens' test -n "$expected"

end=$(($(cut -d . -f 1 /proc/uptime) + seconds))
while [ "$(cut -d . -f 1 /proc/uptime)" -lt $end ] || [ $runs -lt 3 ]; do
	random 10
	case $random in
	0 | 1) toggle_load ;;
	2) reload ;;
	3) echo 3 >/proc/sys/vm/drop_caches ;;
	4) count_a_while ;;
	*) whole_run ;;
	esac
done
[ $loaded = 0 ] || colink unload "$model" --state $state >/dev/null 2>&1

echo "# $runs runs to their end, $kills kills, $loads loads, $reloads reloads of the module"
check 'every run made the tokens of the first' test $wrong = 0
rmmod colink
check 'nobody holds the module' test $? = 0
insmod "$COLINK_MODULE"

finish
