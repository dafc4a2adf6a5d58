#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# libcolink's example in a machine that has the module: with it, and with what is left when
# it is not loaded. The same bytes from each; what the module reads is what it was asked for.
. "$(dirname "$0")/colink_test.sh"
need gather_rows

out=/tmp/gather.txt
tensor=$(gather_rows "$model" | sort -t: -k2 -n | sed -n 's/^\(.*\): 2048 rows of .*/\1/p' | head -n 1)
# gather BACKEND OPTION ...: leaves what it said in $out, and shows it.
gather() {
	backend=$1
	shift
	gather_rows -b "$backend" -n 500 "$@" "$model" "$tensor" >$out 2>&1 || {
		sed 's/^/# /' $out
		return 1
	}
	sed 's/^/# /' $out
}
by() { head -n 1 $out | grep -q "by $1"; }
sum() { sed -n 's/^with prefetch.*checksum //p' $out; }
kib() { sed -n 's/^the call .* for \([0-9]*\) KiB in .*/\1/p' $out; }
# The file's pages leave the cache when the example begins, its own table of tensors but for.
module_read() {
	before=$(counter pages_read)
	gather module "$@"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		[ $((4 * ($(counter pages_read) - before))) = "$(kib)" ] && return
		usleep 100000
	done
	echo "# the module read $((4 * ($(counter pages_read) - before))) KiB"
	return 1
}

check 'there is a matrix' test -n "$tensor"
check 'by itself it takes the module' gather auto
check 'and says so' by 'the module$'
first=$(sum)
check 'the module reads what it was asked for' module_read -s 2
check 'and over gaps of up to a MiB' module_read -s 2 -g 1048576
over_gaps=$(kib)
check 'and over none' module_read -s 2 -g 0
check 'which is less' test "$(kib)" -lt "$over_gaps"
check 'by posix_fadvise' gather fadvise
check 'the same bytes' test "$(sum)" = "$first"
if gather uring; then
	check 'the same bytes by io_uring' test "$(sum)" = "$first"
fi

rmmod colink
check 'without the module' gather auto
check 'it is posix_fadvise, which is explained' \
	by 'posix_fadvise; not the module: cannot open /dev/colink: the module is not loaded'
check 'the same bytes without the module' test "$(sum)" = "$first"
refused() {
	gather_rows -b module "$model" "$tensor" >/tmp/out 2>/tmp/err
	[ $? = 1 ] && [ ! -s /tmp/out ] && [ "$(wc -l </tmp/err)" = 1 ]
}
check 'the module, when it is asked for, is missed' refused
insmod "$COLINK_MODULE"
check 'and is there again' gather module
check 'with the same bytes' test "$(sum)" = "$first"
finish
