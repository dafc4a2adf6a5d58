#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Copies of bundles, from place to run, on the demo model: the same tokens and perplexity as
# without them by fewer reads, whatever the source; the same bytes whatever the threads.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

model=$data/demo-model
linked=$COLINK_BUILD/demo/linked.gguf
# Of a kind that placing sees here.
prompt='Recipe: '

quietly() { "$COLINK" "$@" >/dev/null 2>&1; }
holds() { jq -e "$1" "$2" >/dev/null || { echo "# not so: $1"; cat "$2"; return 1; }; }

# Some text of two kinds is enough to have something to gain, and keeps the search short.
head -c 10000 "$model/corpus/code.txt" >"$work/code"
head -c 12000 "$model/corpus/recipes.txt" >"$work/recipes"
check 'trace' quietly trace "$linked" --text "$work/code" --text "$work/recipes" -o "$work/trace"
place() { "$COLINK" place "$work/trace" --bundle-bytes 1024 --effort 1 "$@" 2>/dev/null; }
place -o "$work/plain.placement" --json >"$work/plain.json"
place -o "$work/copies.placement" --copies 0.125 --threads 1 --json >"$work/copies.json"
check 'no copies unless they are asked for' holds '.copies == null' "$work/plain.json"
check 'place says what copies are worth' holds '
	.copies.per_layer == 256 and .copies.bytes == 6 * 256 * 1024 and
	.copies.device_us_per_token < (.results[] | select(.name == "best") | .device_us_per_token)
	and .copies.against_best < 0.99 and .copies.choice_us_per_token > 0' "$work/copies.json"
check 'and people can read it' grep -q 'Copies: 256 of the 2048 bundles' \
	<(place -o "$work/again.placement" --copies 0.125 --threads 2)
check 'the same placement by any number of threads' \
	cmp "$work/copies.placement" "$work/again.placement"

for name in plain copies; do
	check "pack $name" quietly pack "$linked" --placement "$work/$name.placement" \
		-o "$work/$name.gguf"
	check "verify $name" quietly verify "$work/$name.gguf"
	"$COLINK" info "$work/$name.gguf" --json >"$work/$name.info"
done
check 'packed again it is the same' quietly pack "$work/plain.gguf" \
	--placement "$work/copies.placement" -o "$work/again.gguf"
check 'to the byte' cmp "$work/copies.gguf" "$work/again.gguf"
check 'and without copies what it was' quietly pack "$work/copies.gguf" \
	--placement "$work/plain.placement" -o "$work/again.gguf"
check 'likewise' cmp "$work/plain.gguf" "$work/again.gguf"
check 'info: no copies' holds '.copies == 0 and .copies_bytes == 0' "$work/plain.info"
check 'info: copies, and what they take' holds '
	.copies == 256 and .copies_bytes == 6 * 256 * 1024 and
	.bundles_bytes == 6 * (2048 + 256) * 1024' "$work/copies.info"
check 'info for people' grep -q 'copies .* 256 of the 2048 bundles .* 1.5 MiB of flash' \
	<("$COLINK" info "$work/copies.gguf")
check 'what is resident is the same' \
	jq -en --slurpfile a "$work/plain.info" --slurpfile b "$work/copies.info" \
	'$a[0].resident_bytes == $b[0].resident_bytes'

run() {
	local name=$1
	shift
	"$COLINK" run "$work/$name.gguf" -p "$prompt" -n 48 --ignore-eos --batch 1 --json "$@"
}
tokens() { jq -c '[.tokens, .ffn_wanted_share, .ffn_active_share]' "$1"; }
same() {
	run plain "$@" >"$work/plain.run" 2>/dev/null && run copies "$@" >"$work/copies.run" &&
		[ "$(tokens "$work/plain.run")" = "$(tokens "$work/copies.run")" ]
}
# less KEY TIMES: of a figure of both runs.
less() {
	jq -en --slurpfile a "$work/plain.run" --slurpfile b "$work/copies.run" \
		"\$b[0].io.$1 < $2 * \$a[0].io.$1" >/dev/null ||
		{ jq -c .io "$work/plain.run" "$work/copies.run"; return 1; }
}
check 'pread: the same tokens' same --io pread --cache-ratio 0
check 'in less device time' less predicted_ms_per_token 0.99
check 'without collapse: the same tokens' same --io pread --cache-ratio 0 --gap 0
check 'by fewer reads' less reads 0.99
check 'with a cache: the same tokens' same --io pread --cache-ratio 0.05
check 'in less device time' less predicted_ms_per_token 0.99
check 'auto: the same tokens' same --io auto --cache-hot 0.5
check 'mmap: the same tokens' same --io mmap
check 'a budget: the same tokens' same --memory 24M
check 'dense: the same tokens' same --dense

for name in plain copies; do
	"$COLINK" logits "$work/$name.gguf" -p "$prompt" --json | jq .logits >"$work/$name.logits"
done
check 'logits are the same bits' cmp "$work/plain.logits" "$work/copies.logits"
evaluated() {
	"$COLINK" eval "$work/$1.gguf" --text "$work/code" --json 2>/dev/null |
		jq -c '[.perplexity, .nll, .tokens, .ffn_active_share, .predictor]'
}
check 'eval says the same' test "$(evaluated plain)" = "$(evaluated copies)"

# Traced and placed again: neurons, not places, are recorded.
check 'trace of both' quietly trace "$work/plain.gguf" --text "$work/code" \
	--tokens 500 -o "$work/a"
check 'is the same' quietly trace "$work/copies.gguf" --text "$work/code" \
	--tokens 500 -o "$work/b"
check 'to the byte' cmp "$work/a" "$work/b"

# Bad ones.
for option in '--copies -0.1' '--copies 1.01' '--copies nan' '--copies x'; do
	# shellcheck disable=SC2086
	check "place $option" test "$("$COLINK" place "$work/trace" -o "$work/p" $option 2>/dev/null
		echo $?)" = 2
done
check 'copies, but not of best' test "$("$COLINK" place "$work/trace" -o "$work/p" --copies 0.1 \
	--method linked 2>/dev/null; echo $?)" = 2
check 'link --copies 2' test "$("$COLINK" link "$model" -o "$work/p" --text "$model/heldout.txt" \
	--copies 2 2>/dev/null; echo $?)" = 2
refused 'bench io with more copies than the file has' 'room for 0 copies of bundles, not for 204' \
	"$COLINK" bench io "$work/plain.gguf" --trace "$work/trace" --copies 0.1
"$COLINK" bench io "$work/copies.gguf" --trace "$work/trace" --copies 0.125 --tokens 40 \
	--method full --method full+copies --effort 1 --repeat 1 --json >"$work/io.json" 2>/dev/null
check 'bench io: copies save reads' holds '.copies_per_layer == 256 and
	([.results[].name] == ["full", "full+copies"]) and
	([.results[].reads_per_token] | .[1] < 0.97 * .[0])' "$work/io.json"
finish
