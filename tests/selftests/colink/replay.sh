#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `colink bench replay --io kernel`: the bytes of every other source, with memory for all and for
# a part of the bundles; counts that are the module's.
. "$(dirname "$0")/colink_test.sh"
need colink
trace=$COLINK_DISK/short.trace
[ -e "$trace" ] || { echo '1..0 # SKIP no trace here'; exit 4; }

out=/tmp/replay.json

replay() {
	$within colink bench replay "$model" --trace "$trace" --tokens 8 --json "$@" >$out 2>/tmp/err &&
		return
	cat /tmp/err
	return 1
}
# The first value of a key: a number, or a text without its quotes.
value() { grep -o "\"$1\": *[^,}]*" $out | head -n 1 | sed 's/^[^:]*: *//; s/"//g'; }
same() { "$@" && [ "$(value checksum)" = "$expected" ]; }

check 'uring' replay --io uring
expected=$(value checksum)
check 'there is a checksum to compare with' test "$(echo "$expected" | tr -d 0-9a-f)" = '' -a \
	${#expected} = 16
wanted=$(value wanted_bytes)

echo 3 >/proc/sys/vm/drop_caches
issued=$(counter pages_read)
check 'kernel: same checksum' same replay --io kernel
check 'the source is told' test "$(value source)" = kernel
# Requests that nobody waits for are counted a moment later. What is not the module's is faults.
usleep 200000
check 'bytes are what the module read' \
	near bytes "$(value bytes)" $((($(counter pages_read) - issued) * 4096)) 262144
cold=$(value bytes)
check 'again: same checksum' same replay --io kernel
check 'what is resident is not read again' less "$(value bytes) * 10" "$cold"
for options in '--gap 0' '--after-use drop' '--cache-ratio 0.3' '--compute-us 100'; do
	echo 3 >/proc/sys/vm/drop_caches
	check "kernel, $options: same checksum" same replay --io kernel $options
done
echo 3 >/proc/sys/vm/drop_caches
check 'kernel, in a group of 14 MiB: same checksum' same in_group 14M replay --io kernel
check 'uring, within a budget, in a group of it: same checksum' \
	same in_group 16M replay --io uring --memory 16M
check 'mmap: same checksum' same replay --io mmap
check 'auto: it is the module where memory is plenty' same replay --io auto
check 'and it says so' test "$(value source)" = kernel
check 'something was wanted' less 0 "$wanted"

finish
