#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# colink run, eval and logits on the linked demo model: the same text from every
# source, cache size and number of threads; counts that agree with the kernel's;
# the quality that sparse inference has to keep.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

linked=$COLINK_BUILD/demo/linked.gguf
heldout=$data/demo-model/heldout.txt
prompt='And it came to pass in those days, that the king of'

run() { "$COLINK" run "$linked" -p "$prompt" -n 32 --ignore-eos --json "$@"; }

# holds FILTER FILE: jq's filter is true of a JSON file.
holds() { jq -e "$1" "$2" >/dev/null || { echo "# not so: $1"; cat "$2"; return 1; }; }

sources='pread mmap'
run --io uring >"$work/reference.json" 2>/dev/null && sources="uring $sources"
run --io pread >"$work/reference.json"

same_tokens() {
	run "$@" >"$work/run.json" || return 1
	[ "$(jq -c .tokens "$work/run.json")" = "$(jq -c .tokens "$work/reference.json")" ]
}

for source in $sources; do
	for ratio in 0 0.05 0.5 1; do
		for threads in 1 2; do
			check "same tokens: $source, cache ratio $ratio, $threads threads" \
				same_tokens --io $source --cache-ratio $ratio --threads $threads
		done
	done
done
for policy in clock lru s3-fifo linked forecast; do
	for ratio in 0.01 0.05 0.5; do
		for hot in 0 0.5 1; do
			check "same tokens: $policy, cache ratio $ratio, $hot of it hot" same_tokens \
				--cache-policy $policy --cache-ratio $ratio --cache-hot $hot
		done
	done
	check "the policy is told: $policy" holds ".io.cache_policy == \"$policy\"" "$work/run.json"
done
for option in '--batch 1' '--batch 5' '--gap 0' '--gap 100000000' '--queue-depth 1'; do
	# shellcheck disable=SC2086
	check "same tokens: $option" same_tokens --io auto $option
done

check 'every key of run is there' holds '
	(.tokens | length) == 32 and (.text | type) == "string" and .prompt_tokens[0] == 2 and
	.tokens_per_s > 0 and .ffn_active_share > 0 and .ffn_wanted_share > .ffn_active_share and
	.ffn_read_share > 0 and .io.reads > 0 and .io.bytes >= .io.wanted_bytes and
	.io.run_length_mean > 1 and .io.wait_ms_per_token > 0 and
	.io.bytes_per_token > .io.reads_per_token and .io.unused_share == 0 and
	.io.cpu_ms_per_token > 0 and
	.io.cache_hit_share > 0 and .io.source == "pread"' "$work/reference.json"

case $sources in
uring*)
	run --io uring --cache-ratio 0 >"$work/uring.json"
	if dd if="$linked" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; then
		check 'uring: O_DIRECT where the file system has it' \
			holds '.io.detail | contains("O_DIRECT")' "$work/uring.json"
		check 'uring: bytes are what the kernel counted' \
			holds '.io.bytes == .io.kernel.read_bytes' "$work/uring.json"
	else
		skip 'uring: bytes are what the kernel counted' 'no O_DIRECT on this file system'
	fi
	;;
*)
	skip 'uring' 'io_uring is not to be had here'
	;;
esac
run --io pread --cache-ratio 0 >"$work/pread.json"
# The kernel also counted the reading of /proc/self/io, twice, and of status, once: a few reads
# each, some 2000 bytes together.
check 'pread: reads and bytes are what the kernel counted' holds '
	.io.kernel.syscr - .io.reads >= 0 and .io.kernel.syscr - .io.reads < 16 and
	.io.kernel.rchar - .io.bytes >= 0 and .io.kernel.rchar - .io.bytes < 4096' \
	"$work/pread.json"
run --io mmap --cache-ratio 0 >"$work/mmap.json"
check 'mmap: bytes are what the kernel counted' \
	holds '.io.bytes == .io.kernel.read_bytes' "$work/mmap.json"

run --dense >"$work/dense.json"
check 'dense wants all and finds more that fire' holds ".dense and .ffn_wanted_share == 1 and
	.ffn_active_share > $(jq .ffn_active_share "$work/reference.json")" "$work/dense.json"
check 'no cache, no hits' holds '.io.cache_hit_share == 0' "$work/pread.json"
run --cache-ratio 1 --io pread >"$work/cached.json"
check 'a full cache reads less' \
	test "$(jq .io.bytes "$work/cached.json")" -lt "$(jq .io.bytes "$work/pread.json")"
run --cache-ratio 0.5 --io pread >"$work/cold.json"
run --cache-ratio 0.5 --cache-hot 1 --io pread >"$work/hot.json"
check 'hot neurons are found from the first token on' \
	holds ".io.cache_hit_share > $(jq .io.cache_hit_share "$work/cold.json") and
		.io.bytes < $(jq .io.bytes "$work/cold.json")" "$work/hot.json"
run --gap 0 --cache-ratio 0 --io pread >"$work/plain.json"
check 'without collapse only what is wanted is read' \
	holds '.io.bytes == .io.wanted_bytes and .ffn_read_share <= .ffn_wanted_share' \
	"$work/plain.json"

"$COLINK" eval "$linked" --text "$heldout" --json >"$work/eval.json" 2>/dev/null
perplexity=$(jq .perplexity "$data/demo-model/reference/perplexity.json")
active=$(jq .active_share_mean "$data/demo-model/reference/perplexity.json")
check 'sparse perplexity is within 1 % of dense' \
	holds ".perplexity / $perplexity < 1.01 and .perplexity / $perplexity > 0.99" \
	"$work/eval.json"
check 'at most twice as many neurons are wanted as fire' \
	holds ".ffn_wanted_share / $active < 2 and .ffn_wanted_share > .ffn_active_share" \
	"$work/eval.json"
check 'every key of eval is there' \
	holds '.nll > 0 and .tokens == 15582 and .predictor.recall > 0.8 and
		.predictor.precision > 0.4' \
	"$work/eval.json"
# Of both shares, these are the neurons that fired and were wanted.
check 'recall and precision agree with the shares' holds '
	.predictor.recall < 1 and .predictor.precision < 1 and
	(.predictor.recall * .ffn_active_share - .predictor.precision * .ffn_wanted_share |
	 fabs) < 1e-6' "$work/eval.json"
check 'eval counts each token once in shorter windows too' holds '.tokens == 15582' \
	<("$COLINK" eval "$linked" --text "$heldout" --ctx 128 --json 2>/dev/null)

# The cost that reads are planned by: as published, where nothing was measured.
check 'a device that was not measured costs what a phone does' holds '
	.io.device == { a_us: 8.5, b_us_per_mib: 540, gap_bytes: 16505, source: "published" }' \
	"$work/reference.json"
check 'eval, too' holds '.io.device.source == "published"' "$work/eval.json"
check 'a gap that is given is used' holds '.io.device.gap_bytes == 0' "$work/plain.json"
check 'same tokens: refined cost' same_tokens --device-cost refine
check 'refined by what was waited for, or not at all' holds '.io.device |
	.a_us > 0.5 and .a_us < 137 and .b_us_per_mib > 33 and .b_us_per_mib < 8641 and
	(.source == "refined" or .source == "published")' "$work/run.json"

export XDG_CACHE_HOME=$work/xdg
if "$COLINK" bench device "$work" --seconds 0.05 --file-mib 64 --json >"$work/device.json" \
	2>/dev/null; then
	devices=$work/xdg/colink/devices.json
	cp "$linked" "$work/linked.gguf"
	linked=$work/linked.gguf
	jq '.devices[] |= (.a_us = 10 | .b_us_per_mib = 5000)' "$devices" >"$work/edited.json"
	cp "$work/edited.json" "$devices"
	check 'same tokens: measured cost' same_tokens --cache-ratio 0
	check 'what was measured is used' holds '
		.io.device == { a_us: 10, b_us_per_mib: 5000, gap_bytes: 2097, source: "measured" }' \
		"$work/run.json"
	check 'and less is read over' test "$(jq .io.bytes "$work/run.json")" -lt \
		"$(jq .io.bytes "$work/pread.json")"
	echo '[]' >"$devices"
	run >"$work/run.json" 2>"$work/stderr"
	check 'results of no use are ignored' holds '.io.device.source == "published"' \
		"$work/run.json"
	check 'and told' grep -qx "colink: $devices: the top level is not a JSON object; it is ignored" \
		"$work/stderr"
	linked=$COLINK_BUILD/demo/linked.gguf
else
	skip 'measured cost' 'the device under the build folder cannot be measured'
fi
rm -rf "$work/xdg"

sampled() { run --temp 1 --top-k 50 --top-p 0.95 --seed "$1" | jq -c .tokens; }
check 'a seed repeats' test "$(sampled 7)" = "$(sampled 7)"
check 'another seed differs' test "$(sampled 7)" != "$(sampled 8)"

plain=$("$COLINK" run "$linked" -p "$prompt" -n 32 --ignore-eos 2>/dev/null)
check 'streamed text is the text of the JSON' \
	test "$plain" = "$(jq -r .text "$work/reference.json")"
check 'generation ends where the context does' \
	holds '(.tokens | length) + (.prompt_tokens | length) == 513' \
	<("$COLINK" run "$linked" -p "$prompt" -n 100000 --ignore-eos --json)

ids=$(jq -r '.prompt_tokens | map(tostring) | join(",")' "$work/reference.json")
# But for "memory", which has what the process took.
logits() { "$COLINK" logits "$linked" --sparse --json "$@" | jq -c 'del(.memory)'; }
logits --ids "$ids" >"$work/ids.json"
logits -p "$prompt" >"$work/text.json"
check 'logits by ids and by text are the same' cmp -s "$work/ids.json" "$work/text.json"
first=$(jq '.tokens[0]' "$work/reference.json")
check 'the best logit is the first token made' holds \
	"(.logits | length) == 4096 and (.logits | index(max)) == $first" \
	"$work/ids.json"
check 'tokenize gives the ids of run' \
	test "$("$COLINK" tokenize "$linked" -p "$prompt" --json | jq -c .ids)" = \
	"$(jq -c .prompt_tokens "$work/reference.json")"
finish
