#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `colink run --io kernel` and `--io auto`: the tokens of every other source, with memory and
# without, of a file with copies of bundles, beside `colink load`, and with a module of which
# quotas are small; counts that are the module's; what is said where the module is missing.
. "$(dirname "$0")/colink_test.sh"
need colink

out=/tmp/run_kernel.json
state=/tmp/run_kernel.state

run() {
	$within colink run "$model" -p 'And it came to pass' -n 6 --ignore-eos --json "$@" >$out 2>/tmp/err &&
		return
	cat /tmp/err
	return 1
}
tokens() { sed 's/.*"tokens": *\[\([^]]*\)\].*/\1/' $out; }
# The first value of a key: a number, or a text without its quotes.
io() { grep -o "\"$1\": *[^,}]*" $out | head -n 1 | sed 's/^[^:]*: *//; s/"//g'; }
same_tokens() { "$@" && [ "$(tokens)" = "$expected" ]; }

run --io uring
expected=$(tokens)
check 'there are tokens to compare with' test "$(echo "$expected" | tr , '\n' | wc -l)" = 6

echo 3 >/proc/sys/vm/drop_caches
issued=$(counter pages_read)
ios=$(counter ios)
check 'same tokens' same_tokens run --io kernel
check 'the source is told' test "$(io source)" = kernel
check 'and not that it was chosen' grep -q '"chosen": *null' $out
# Requests that nobody waits for are counted a moment later. What is not the module's is faults.
usleep 200000
check 'bytes are what the module read' \
	near bytes "$(io bytes)" $((($(counter pages_read) - issued) * 4096)) 262144
check 'reads are what the module issued' near reads "$(io reads)" $(($(counter ios) - ios)) 64
check 'gaps are read over' less 0 "$(io unused_share)"
check 'some bundles share pages' less 0 "$(io cache_hit_share)"
check 'it waited' less 0 "$(io wait_ms_per_token)"
check 'its CPU time is known' less 0 "$(io cpu_ms_per_token)"
cold=$(io bytes)
run --io kernel
check 'what is resident is not read again' less "$(io bytes) * 10" "$cold"
check 'and is a hit' less 0.9 "$(io cache_hit_share)"

for options in '--batch 1' '--threads 1 --gap 0' '--cache-ratio 0.3' '--dense' '--memory 24M' \
	'--batch 1 --gap 1000000'; do
	run --io uring $options
	expected=$(tokens)
	echo 3 >/proc/sys/vm/drop_caches
	check "same tokens: $options" same_tokens run --io kernel $options
done

# Where bundles are stored more than once, what is brought in is whichever place is read.
linked=$model
model=$COLINK_DISK/copies.gguf
copies() { colink info "$model" --json | sed 's/.*"copies": *\([0-9]*\).*/\1/'; }
check 'there is a file with copies' test "$(copies)" -gt 0
for options in '--batch 1' '--batch 1 --gap 0' '--batch 1 --cache-ratio 0.3'; do
	run --io uring $options
	expected=$(tokens)
	echo 3 >/proc/sys/vm/drop_caches
	check "same tokens with copies: $options" same_tokens run --io kernel $options
done
check 'and they were read' less 0 "$(io bytes)"
model=$linked

run --io uring
expected=$(tokens)
for limit in 28M 20M; do
	echo 3 >/proc/sys/vm/drop_caches
	check "same tokens in a group of $limit" same_tokens in_group $limit run --io kernel
done

echo 3 >/proc/sys/vm/drop_caches
if colink load "$model" --state $state >/dev/null 2>/tmp/err; then
	check 'same tokens beside colink load' same_tokens run --io kernel
	colink unload "$model" --state $state >/dev/null
else
	skip 'same tokens beside colink load' "$(cat /tmp/err)"
fi

parameters=/sys/module/colink/parameters
extents=$(cat $parameters/max_extents)
echo 3 >/proc/sys/vm/drop_caches
echo 20 >$parameters/max_extents
check 'same tokens where quotas refuse most' same_tokens run --io kernel
check 'and the rest are faults' less 20 "$(io reads)"
echo "$extents" >$parameters/max_extents

check 'auto: same tokens' same_tokens run --io auto
check 'it is the module where memory is plenty' test "$(io source)" = kernel
check 'and it says why' grep -q '"chosen": *"the page cache has room for 100 %' $out
check 'it is not where memory is short' in_group 19M run --io auto
check 'and it says so' grep -q '"source": *"uring".*"chosen": *"the page cache has room for [0-9]* % of the bundles only' $out
check 'nor with a budget' run --io auto --memory 24M
check 'and it says so, too' grep -q '"source": *"uring".*in no budget' $out

rmmod colink
colink run "$model" -p a -n 1 --io kernel >/tmp/out 2>/tmp/err
check 'without the module: status 1' test $? = 1
check 'one line' test "$(wc -l </tmp/err)" = 1
check 'that says what to do' grep -q '/dev/colink: the module is not loaded (insmod colink.ko); --io uring does without' /tmp/err
check 'and nothing on stdout' test ! -s /tmp/out
check 'auto: without the module' same_tokens run --io auto
check 'says so' grep -q '"source": *"uring".*"chosen": *"the module is not loaded' $out
insmod "$COLINK_MODULE"

finish
