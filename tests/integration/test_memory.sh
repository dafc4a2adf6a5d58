#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# --memory: what a run has had at most, by VmHWM, is within the budget, from the least that
# is accepted upward; a budget that cannot be met is refused before weights are read; the
# tokens are the same whatever the budget. test_memory_limit has memory cgroups.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

linked=$COLINK_BUILD/demo/linked.gguf
heldout=$data/demo-model/heldout.txt
prompt='And it came to pass in those days, that the king of'
mib=1048576

run() { "$COLINK" run "$linked" -p "$prompt" -n 32 --ignore-eos --json "$@"; }

# holds FILTER FILE: jq's filter is true of a JSON file.
holds() { jq -e "$1" "$2" >/dev/null || { echo "# not so: $1"; cat "$2"; return 1; }; }

# least COMMAND ...: the budget that its refusal of a tiny one asks for.
least() { "$@" --memory 1 2>&1 >/dev/null | sed -n 's/.* at least \([0-9]*\) (.*/\1/p'; }

sources=pread
run --io uring >/dev/null 2>&1 && sources="uring pread"

# Sanitizers have memory of their own, many times the program's.
sanitized=no
ldd "$COLINK" | grep -q libasan && sanitized=yes

# within BUDGET FILE: the run planned and took no more.
within() {
	if [ $sanitized = yes ]; then
		holds ".memory.budget_bytes == $1 and .memory.planned_bytes <= $1" "$2"
	else
		holds ".memory.budget_bytes == $1 and .memory.planned_bytes <= $1 and
			.memory.peak_bytes <= $1 and .memory.peak_bytes > 8 * $mib" "$2"
	fi
}

same_tokens() {
	[ "$(jq -c .tokens "$1")" = "$(jq -c .tokens "$2")" ] || { cat "$1"; return 1; }
}

run >"$work/sparse.json"
run --dense >"$work/dense.json"
for source in $sources; do
	for mode in sparse dense; do
		set -- --io "$source"
		[ $mode = sparse ] || set -- "$@" --dense
		least=$(least run "$@")
		check "$source, $mode: the least is told" test "${least:-0}" -gt $((10 * mib))
		for more in 0 $((mib / 2)) $((2 * mib)) $((5 * mib)) $((8 * mib)) \
			$((1000 * mib)); do
			budget=$((least + more))
			run "$@" --memory $budget >"$work/run.json"
			check "$source, $mode: within the least and $((more >> 10)) KiB" \
				within $budget "$work/run.json"
			check "$source, $mode: same tokens, the least and $((more >> 10)) KiB" \
				same_tokens "$work/run.json" "$work/$mode.json"
		done
		check "$source, $mode: with much memory all bundles are cached" \
			holds '.memory.cache_ratio == 1 and .memory.cache_bundles == 12288' \
			"$work/run.json"
		for less in 1 4096 $mib; do
			refused "$source, $mode: refused with $less less than the least" \
				"at least $least .* needed: .* weights, .* keys and values of 46 tokens, .* staging" \
				run "$@" --memory $((least - less))
		done
	done
done

# The weights are damaged: who reads them says so, who refuses first does not.
byte=$(od -An -tu1 -j 1000000 -N 1 "$linked")
cp "$linked" "$work/damaged.gguf"
# shellcheck disable=SC2059
printf "\\x$(printf %x $((byte ^ 1)))" |
	dd of="$work/damaged.gguf" bs=1 seek=1000000 conv=notrunc 2>/dev/null
damaged() { "$COLINK" "$1" "$work/damaged.gguf" "${@:2}"; }
for command in "run -p x -n 1" "logits -p x" "eval --ctx 64 --text $heldout"; do
	# shellcheck disable=SC2086
	least=$(least damaged $command)
	# shellcheck disable=SC2086
	refused "${command%% *}: refused before weights are read" 'does not fit into' \
		damaged $command --memory $((least - 1))
	# shellcheck disable=SC2086
	refused "${command%% *}: weights are read when they fit" 'does not match its checksum' \
		damaged $command --memory "$least"
done

# What gives way, and in which order.
least=$(least run)
run --memory "$least" >"$work/least.json"
check 'the least is without a cache, with the least staging, token by token' \
	holds '.memory | .cache_ratio == 0 and .planned.staging <= 524288 and .batch == 1' \
	"$work/least.json"
run --memory $((least + 3 * mib)) >"$work/more.json"
check 'with more, the batch is whole first, and staging and cache share the rest' \
	holds '.memory | .batch == 46 and .planned.staging > 1000000 and
		(.planned.staging - 524288 - .planned.cache | fabs) < 100000' "$work/more.json"
run --memory $((least + 8 * mib)) >"$work/cache.json"
check 'with still more, the staging is as usual, and the cache has the rest' holds "
	.memory | .batch == 46 and .planned.staging == $(jq .memory.planned.staging "$work/sparse.json")
	and .cache_ratio > 0.2 and .planned_bytes > $((least + 8 * mib - 4096))" "$work/cache.json"
# Bytes read may be as many: gaps are read over whether they are cached or not.
run --cache-ratio 0 >"$work/uncached.json"
check 'what is cached need not be read' holds ".io.cache_hit_share > 0.1 and
	.io.wanted_bytes < 0.9 * $(jq .io.wanted_bytes "$work/uncached.json")" "$work/cache.json"
run --cache-ratio "$(jq .memory.cache_ratio "$work/cache.json")" >"$work/asked.json"
check 'as much is cached as is said' holds "(.io.cache_hit_share -
	$(jq .io.cache_hit_share "$work/asked.json") | fabs) < 0.02 and
	.io.cache_hit_share > 0.1 + $(jq .io.cache_hit_share "$work/sparse.json")" "$work/cache.json"
# Where the file is in memory anyway, auto is mmap, with what that needs.
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && copy=$(mktemp /dev/shm/colink-XXXXXX) &&
	cp "$linked" "$copy" 2>/dev/null; then
	on_disk=$linked
	linked=$copy
	budget=$(least run --io mmap)
	check 'in memory: auto asks for what mmap does' test "$(least run)" = "$budget"
	for source in auto mmap; do
		run --io $source --memory $((budget + mib)) | jq '.memory | del(.peak_bytes)' >"$work/$source"
	done
	check 'and shares it out as mmap does' cmp "$work/auto" "$work/mmap"
	linked=$on_disk
else
	skip 'auto in memory' 'no tmpfs at /dev/shm, or no room in it'
fi
rm -f "${copy:-}"
check 'a budget that is not given is null' holds '.memory | .budget_bytes == null and
	.cache_bundles == 614 and .batch == 46 and .peak_bytes > 0 and
	.planned_bytes == ([.planned[]] | add)' "$work/sparse.json"

# What was asked for stays.
run --memory $((least + 8 * mib)) --cache-ratio 0.1 --batch 7 >"$work/wish.json"
check 'a cache ratio and a batch that fit' \
	holds '.memory | .cache_bundles == 1228 and .batch == 7' "$work/wish.json"
check 'same tokens with them' same_tokens "$work/wish.json" "$work/sparse.json"
refused 'a cache ratio that does not fit' 'at least .* 12.0 for the cache asked for' \
	run --memory $((least + 8 * mib)) --cache-ratio 1
refused 'a batch that does not fit' 'at least ' run --memory "$least" --batch 46
with_ratio=$(least run --cache-ratio 0.5 --cache-hot 1)
run --memory "$with_ratio" --cache-ratio 0.5 --cache-hot 1 >"$work/hot.json"
check 'hot bundles within the budget' within "$with_ratio" "$work/hot.json"
check 'same tokens with them' same_tokens "$work/hot.json" "$work/sparse.json"
for threads in 1 8; do
	budget=$(least run --threads $threads)
	run --threads $threads --memory "$budget" >"$work/run.json"
	check "$threads threads within the budget" within "$budget" "$work/run.json"
done
for policy in clock lru s3-fifo linked; do
	run --cache-policy $policy --memory $((least + 8 * mib)) >"$work/run.json"
	check "$policy within the budget" within $((least + 8 * mib)) "$work/run.json"
	check "same tokens: $policy" same_tokens "$work/run.json" "$work/sparse.json"
done
run --io mmap --memory $((least + mib)) >"$work/run.json"
check 'mapped bundles: no staging, and same tokens' holds '.memory.planned.staging == 0' \
	"$work/run.json"
check 'same tokens: mmap' same_tokens "$work/run.json" "$work/sparse.json"

# The other commands; the longest context, too.
head -c 4000 "$heldout" >"$work/text"
for command in "eval $linked --text $work/text" "eval $linked --text $work/text --dense --ctx 64" \
	"logits $linked -p x" "logits $linked --sparse --ids 2,5,9" \
	"run $linked -p x -n 1000 --ignore-eos"; do
	# shellcheck disable=SC2086
	budget=$(least "$COLINK" $command)
	# shellcheck disable=SC2086
	"$COLINK" $command --json --memory "${budget:-1}" >"$work/other.json" 2>/dev/null
	check "within the least: ${command//$linked/linked}" within "$budget" "$work/other.json"
	# shellcheck disable=SC2086
	"$COLINK" $command --json >"$work/free.json" 2>/dev/null
	for key in perplexity logits tokens; do
		check "same $key: ${command//$linked/linked}" \
			test "$(jq -c .$key "$work/other.json")" = "$(jq -c .$key "$work/free.json")"
	done
done

"$COLINK" run "$linked" -p x -n 4 --memory 1G >/dev/null 2>"$work/stderr"
check 'the size of the cache is told' grep -qE \
	'^memory: [0-9.]+ MiB at most, 1\.0 GiB allowed; cache of 12\.0 MiB \(12288 bundles, 100\.0 % of all\)' \
	"$work/stderr"
"$COLINK" run "$linked" -p x -n 4 >/dev/null 2>"$work/stderr"
check 'but not without a budget' test "$(wc -l <"$work/stderr")" = 1

# misused ARGUMENT ...: status 2, and one line that has the text.
misused() {
	local status=0
	run --memory "$1" >"$work/stdout" 2>"$work/stderr" || status=$?
	[ $status = 2 ] && [ "$(wc -l <"$work/stderr")" = 1 ] && [ ! -s "$work/stdout" ] &&
		grep -q -- "--memory: '$1' is not a valid size in bytes" "$work/stderr"
}
for size in '' x -1 1.5G 1T 12MB '4 G' 9223372036854775808 8589934592G; do
	check "--memory '$size' is nonsense" misused "$size"
done
for size in 64M 64m 65536K 65536k 67108864; do
	run --memory $size >"$work/run.json"
	check "--memory $size" holds '.memory.budget_bytes == 67108864' "$work/run.json"
done
run --memory 1G >"$work/run.json"
check '--memory 1G' holds '.memory.budget_bytes == 1073741824' "$work/run.json"
refused '--memory 0' 'does not fit into 0 bytes' run --memory 0
finish
