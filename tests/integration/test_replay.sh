#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# colink bench replay on the demo model: the same checksum from each source, cache, budget,
# order, and from copies; another one for other tokens or other bytes; counts that are those of
# the kernel; what is refused.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

demo=$data/demo-model
linked=$COLINK_BUILD/demo/linked.gguf
trace=$work/trace

quietly() { "$COLINK" "$@" >/dev/null 2>&1; }
holds() { jq -e "$1" "$2" >/dev/null || { echo "# not so: $1"; cat "$2"; return 1; }; }

check 'trace' quietly trace "$linked" --text "$demo/heldout.txt" --tokens 199 -o "$trace"
check 'a model in the order of its neurons' quietly import "$demo" -o "$work/identity.gguf"
check 'a placement with copies' quietly place "$trace" --bundle-bytes 1024 --effort 0 \
	--copies 0.125 -o "$work/placement"
check 'packed' quietly pack "$linked" --placement "$work/placement" -o "$work/copies.gguf"

replay() {
	local model=$1
	shift
	"$COLINK" bench replay "$model" --trace "$trace" --skip 20 --tokens 40 --json "$@"
}
checksum() { jq -r .checksum "$1"; }
same() {
	replay "$@" >"$work/replay.json" || return 1
	[ "$(checksum "$work/replay.json")" = "$(checksum "$work/reference.json")" ] ||
		{ cat "$work/replay.json"; return 1; }
}
other() {
	replay "$@" >"$work/replay.json" || return 1
	[ "$(checksum "$work/replay.json")" != "$(checksum "$work/reference.json")" ]
}

replay "$linked" --io pread --cache-ratio 0 >"$work/reference.json"
check 'every key is there' holds '
	.tokens == 40 and .skipped_tokens == 20 and .seconds > 0 and .tokens_per_s > 0 and
	(.checksum | test("^[0-9a-f]{16}$")) and .compute_us == 0 and .layers == 6 and
	.neurons == 2048 and .bundle_bytes == 1024 and .wanted_per_token > 6 and
	.ffn_read_share > 0 and .io.source == "pread" and .io.chosen == null and
	.io.reads > 0 and .io.bytes >= .io.wanted_bytes and .io.run_length_mean > 1 and
	.io.cache_hit_share == 0 and .io.wait_ms_per_token > 0 and .io.cpu_ms_per_token > 0 and
	.io.bytes_per_token * 40 == .io.bytes and .io.unused_share == 0 and
	.memory.budget_bytes == null and .memory.planned.weights == 0 and
	.memory.planned.keys_values == 0 and .memory.batch == 1 and .memory.peak_bytes > 0' \
	"$work/reference.json"
check 'what is wanted is what is read, and no more is counted' holds \
	'.wanted_per_token * 40 * 1024 == .io.wanted_bytes' "$work/reference.json"
# The kernel also counted the reading of /proc/self/io, twice: a few reads each.
check 'reads are what the kernel counted' holds '
	.io.kernel.syscr - .io.reads >= 0 and .io.kernel.syscr - .io.reads < 16' \
	"$work/reference.json"

sources='pread mmap'
quietly bench replay "$linked" --trace "$trace" --tokens 1 --io uring && sources="uring $sources"
for source in $sources; do
	for ratio in 0 0.05 1; do
		check "same checksum: $source, cache ratio $ratio" \
			same "$linked" --io $source --cache-ratio $ratio
	done
done
check 'a cache is of use' holds '.io.cache_hit_share > 0.5' "$work/replay.json"
for options in '--io auto' '--gap 0' '--gap 100000000' '--queue-depth 1' '--cache-policy clock' \
	'--cache-hot 0.5' '--device-cost refine' '--compute-us 50'; do
	# shellcheck disable=SC2086
	check "same checksum: $options" same "$linked" $options
done
for model in identity copies; do
	check "same checksum: $model" same "$work/$model.gguf" --io pread
done
check 'same checksum: identity, without a cache' same "$work/identity.gguf" --cache-ratio 0
identity=$(jq .io.run_length_mean "$work/replay.json")
check 'and shorter runs' holds ".io.run_length_mean > $identity" "$work/reference.json"

refused 'a budget that cannot be' 'linked.gguf: does not fit .*needed: [0-9.]* for staging' \
	replay "$linked" --io pread --memory 1M
# The program itself is larger with sanitizers: from the least budget that is accepted, upward.
budget=$(($(sed -n 's/.*at least \([0-9]*\) .*/\1/p' "$work/stderr") + 4194304))
kept=".memory.planned_bytes <= $budget"
# What those take is in no plan.
ldd "$COLINK" | grep -q libasan || kept="$kept and .memory.peak_bytes <= $budget"
within_budget() {
	same "$linked" --io pread --memory $budget && holds "
		$kept and
		.memory.planned.staging > 0 and .memory.planned.staging < 8388608" \
		"$work/replay.json"
}
check 'within a budget' within_budget

busy() { # 40 tokens, 6 layers, 2 ms each
	replay "$linked" --io pread --compute-us 2000 >"$work/replay.json" &&
		holds '.io.cpu_ms_per_token >= 12 and .seconds >= 0.48 and .compute_us == 2000' \
			"$work/replay.json"
}
check 'the CPU is busy in place of computing' busy

check 'another checksum: other tokens' other "$linked" --skip 21
check 'another checksum: fewer tokens' other "$linked" --tokens 39
# Half a million bytes of bundles, each one more: the checksum is of bytes.
cp "$linked" "$work/changed.gguf"
offset=$(($(stat -c %s "$linked") - 1000000))
tail -c 1000000 "$linked" | head -c 500000 | LC_ALL=C tr '\000-\377' '\001-\377\000' |
	dd of="$work/changed.gguf" bs=64K seek=$offset oflag=seek_bytes conv=notrunc 2>/dev/null
check 'another checksum: other bytes' other "$work/changed.gguf" --io pread

"$COLINK" bench replay "$linked" --trace "$trace" >"$work/text"
check 'for people, one line' test "$(wc -l <"$work/text")" = 1
check 'that says what it took' grep -qE \
	'^128 tokens at [0-9.]+ tokens/s, checksum [0-9a-f]{16}; per token: [0-9.]+ reads, .* from storage, [0-9.]+ ms waiting \(.*\)$' \
	"$work/text"
check 'as many tokens as there are' grep -q '^5 tokens ' \
	<("$COLINK" bench replay "$linked" --trace "$trace" --skip 195)

refused 'more tokens than the trace has' 'trace: has 200 tokens, not 201; ask for fewer' \
	"$COLINK" bench replay "$linked" --trace "$trace" --skip 100 --tokens 101
refused 'more to skip than the trace has' 'trace: has 200 tokens, not 201; ask for fewer' \
	"$COLINK" bench replay "$linked" --trace "$trace" --skip 200

finish
