#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `colink stat`: what it says of a disk and a file, against the kernel's own counters and
# what was read; how it ends; what it says when something is missing.
. "$(dirname "$0")/colink_test.sh"
need colink
copy=$COLINK_DISK/copy.gguf

out=/tmp/stat.json
# start ARGUMENT ...: returns when it has attached all, and waits.
start() {
	colink stat "$@" >$out 2>/tmp/stat.err &
	pid=$!
	attached $pid
}

# stop SIGNAL: its exit status.
stop() {
	kill "-$1" $pid
	wait $pid
}

# file_figure FILE KEY
file_figure() {
	sed 's/"samples".*//' $out | grep -o "\"name\":\"$1\".*" | grep -o "\"$2\":[0-9]*" |
		head -n 1 | sed 's/.*://'
}

same() {
	[ -n "$2" ] && [ "$2" = "$3" ] && return
	echo "# $1: '$2', expected '$3'"
	return 1
}

disk_stat() { awk "{ print \$$1 }" /sys/block/$disk/stat; }
disk_figure() {
	sed 's/"samples".*//' $out | grep -o "{\"name\":\"$disk\",[^}]*" | grep -o "\"$1\":[0-9]*" |
		head -n 1 | sed 's/.*://'
}
pages=$((($(stat -c %s "$model") + 4095) / 4096))

# Read cold, then warm, by read(2) in multiples of a page, as md5sum of busybox does it. A
# copy has no holes, which are read without any I/O.
cp "$model" "$copy"
sync
start --json --interval 0.5 "$copy"
echo 3 >/proc/sys/vm/drop_caches
reads=$(disk_stat 1)
sectors=$(disk_stat 3)
md5sum "$copy" >/dev/null
md5sum "$copy" >/dev/null
reads=$(($(disk_stat 1) - reads))
sectors=$(($(disk_stat 3) - sectors))
check 'SIGINT ends it with status 0' stop INT
check 'one JSON object' test "$(wc -l <$out)" = 1
check 'nothing on stderr' test ! -s /tmp/stat.err
check 'reads of the disk' same reads "$(disk_figure reads)" $reads
check 'bytes of the disk' same read_bytes "$(disk_figure read_bytes)" $((sectors * 512))
check 'bytes of the file' same read_bytes "$(file_figure "$copy" read_bytes)" $((pages * 4096))
check 'each page read twice' same 'hits and misses' \
	$(($(file_figure "$copy" read_hits) + $(file_figure "$copy" read_misses))) $((2 * pages))
check 'the second time as hits' test "$(file_figure "$copy" read_hits)" -ge $pages
check 'no faults' same fault_hits "$(file_figure "$copy" fault_hits)" 0
check 'samples' grep -q '"samples":\[{"end_s":0.[0-9]*,"seconds"' $out

# A run by mmap: the kernel's major faults, as the run itself counts them, are those that
# miss, and on some kernels also those that wait for a page on its way.
if grep -q read_bytes /proc/self/io 2>/dev/null; then
	echo 3 >/proc/sys/vm/drop_caches
	start --json "$model"
	colink run "$model" --io mmap -p 'Once upon' -n 4 --json >/tmp/run.json
	check 'SIGTERM ends it with status 0' stop TERM
	majors=$(grep -o '"reads":[0-9]*' /tmp/run.json | sed 's/.*://')
	misses=$(file_figure "$model" fault_misses)
	check "$misses misses, $majors major faults" test "${misses:-0}" -gt 0 -a "$misses" -le "$majors"
else
	skip 'SIGTERM ends it with status 0' 'no count of what a process reads in this kernel'
	skip 'misses and major faults' 'no count of what a process reads in this kernel'
fi

# What a fault reads behind its own page is prefetched, too. The module reads less than that:
# it is asked only where a fault finds its page on its way.
export COLINK_STATE=/tmp/stat-colink
if [ -e /sys/kernel/btf/colink ]; then
	check 'the model is loaded' colink load "$model" --threshold 0.1 --max-hot 0 --read-around never
	echo 3 >/proc/sys/vm/drop_caches
	by_module=$(counter pages_read)
	start --json "$model"
	colink run "$model" --io mmap -p 'Once upon' -n 4 >/dev/null 2>&1
	stop TERM
	colink unload "$model" --json >/tmp/unload.json
	by_module=$(($(counter pages_read) - by_module))
	prefetched=$(file_figure "$model" prefetched)
	check 'faults that read by themselves' grep -Eq '"in_fault":[1-9]' /tmp/unload.json
	check "$prefetched pages prefetched, $by_module by the module" \
		test "${prefetched:-0}" -gt "$by_module"
else
	for name in 'the model is loaded' 'faults that read by themselves' \
		'pages prefetched by faults'; do
		skip "$name" 'the module has no BTF'
	done
fi

check 'text for people' sh -c "colink stat --count 2 --interval 0.2 $model | grep -c '^file .*hits/s' |
	grep -qx 2"
check 'a count ends it' sh -c "colink stat --json --count 3 --interval 0.2 | grep -o end_s |
	grep -c . | grep -qx 3"

refused() {
	colink stat "$@" >/tmp/out 2>/tmp/err
	[ $? = 1 ] && [ ! -s /tmp/out ] && [ "$(wc -l </tmp/err)" = 1 ]
}
check 'a file that is not there' refused /mnt/disk/none
check 'a directory' refused /mnt/disk

# Without the module, and when it comes.
rm "$copy"
rmmod colink
start --json "$model"
stop INT
check 'says that the module is missing' grep -q '"missing":"the module is not loaded' $out
start --json "$model"
insmod "$COLINK_MODULE"
usleep 500000
stop INT
check 'finds the module when it is loaded' grep -q '"missing":null' $out

finish
