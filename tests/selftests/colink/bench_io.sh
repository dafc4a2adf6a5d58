#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `colink bench io`: the methods that map the file, in a real memory cgroup; that of the
# group and of the disk's read-ahead nothing is left, however the program ends.
. "$(dirname "$0")/colink_test.sh"
need colink

read_ahead=/sys/block/$disk/queue/read_ahead_kb
# Other tests count on what it was, also when this one is ended.
before=$(cat "$read_ahead")
trap 'echo $before >"$read_ahead"' EXIT
trap 'exit 1' HUP INT TERM
echo 512 >"$read_ahead"

trace=$COLINK_DISK/short.trace
out=/tmp/bench_io.json

groups() { ls -d /sys/fs/cgroup/colink-bench-* 2>/dev/null; }
no_group() { [ -z "$(groups)" ]; }
as_it_was() { [ "$(cat "$read_ahead")" = 512 ]; }
# A key's first number in the result of a method.
figure() {
	sed 's/"samples":\[[^]]*\]//g' $out | grep -o "{[^{]*\"name\":\"$1\"[^{]*" |
		grep -o "\"$2\":[0-9]*" | head -n 1 | sed 's/.*://'
}

# Searching an order takes an emulated processor long.
measure() { colink bench io "$model" --trace $trace --tokens 8 --repeat 1 --effort 0 --json >$out; }
check 'all methods are measured' measure
check 'and none is missing' grep -q '"missing":\[\]' $out
check 'mapped files by all three ways' \
	[ "$(grep -o '"name":"mmap[a-z0-9-]*"' $out | wc -l)" = 3 ]
check 'no group is left' no_group
check 'and the read-ahead is as it was' as_it_was
# 512 KiB around a fault, 128 KiB, a page: the less, the more faults and the fewer bytes.
reads_less() { [ "$(figure "$1" "$3")" -lt "$(figure "$2" "$3")" ]; }
check 'more faults with 128 KiB' reads_less mmap mmap-128k reads_per_token
check 'and yet more with none' reads_less mmap-128k mmap-random reads_per_token
check 'fewer bytes with none' reads_less mmap-random mmap-128k bytes_per_token

# Methods that map have no order to search.
limit=$(figure mmap cache_bytes)
colink bench io "$model" --trace $trace --tokens 500 --repeat 9 --method mmap-random \
	>/dev/null 2>&1 &
pid=$!
while no_group && [ -d /proc/$pid ]; do usleep 10000; done
usleep 300000
group=$(groups)
# In whole pages.
check 'the limit is set' [ "$(cat "$group/memory.max")" = $((limit / 4096 * 4096)) ]
check 'for the process that maps' [ "$(wc -l <"$group/cgroup.procs")" = 1 ]
check 'and for no other' [ "$(cat "$group/cgroup.procs")" != $pid ]
kill -KILL $pid
wait $pid 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do no_group || usleep 200000; done
check 'no group is left by one that was killed' no_group
finish
