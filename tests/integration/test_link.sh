#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# colink link and its steps on the demo model: reproducible, verified, and with the
# savings in reads that placement has to bring on text that it did not see.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

model=$data/demo-model
linked=$COLINK_BUILD/demo/linked.gguf
texts=()
for text in "$model"/corpus/*.txt; do
	texts+=(--text "$text")
done

quietly() { "$COLINK" "$@" >/dev/null 2>&1; }
holds() { jq -e "$1" "$2" >/dev/null || { echo "# not so: $1"; cat "$2"; return 1; }; }

check 'verify accepts the linked file' quietly verify "$linked"
"$COLINK" info "$linked" --json >"$work/info.json"
check 'info knows placement and predictor' holds '
	.placement == "best" and .predictor_rank == 64 and .layers == 6 and .ffn == 2048 and
	.bundle_bytes == 1024 and .alignment == 16384' "$work/info.json"

# The steps one by one, on other numbers of threads, against the file that link makes in one go.
head -c 10000 "$model/corpus/code.txt" >"$work/text"
some=(--text "$work/text" --tokens 1500)
check 'link' quietly link "$model" "${some[@]}" -o "$work/link.gguf"
check 'import' quietly import "$model" -o "$work/model.gguf"
check 'trace' quietly trace "$work/model.gguf" "${some[@]}" --inputs --threads 1 -o "$work/trace"
check 'place' quietly place "$work/trace" --threads 3 -o "$work/placement"
check 'train' \
	quietly train "$work/model.gguf" --trace "$work/trace" --threads 1 -o "$work/predictor"
check 'pack' quietly pack "$work/model.gguf" --placement "$work/placement" \
	--predictor "$work/predictor" -o "$work/steps.gguf"
check 'step by step gives the bytes of link' cmp "$work/steps.gguf" "$work/link.gguf"

# Place on a part of the corpus, measure on the held-out text. The search for the order best takes
# longest: here it is a short one.
parts=()
for text in "$model"/corpus/*.txt; do
	part=$work/part-$(basename "$text")
	head -c $(($(stat -c %s "$text") / 3)) "$text" >"$part"
	parts+=(--text "$part")
done
check 'trace of a third of the corpus' quietly trace "$work/model.gguf" "${parts[@]}" -o "$work/trace"
check 'trace of the held-out text' quietly trace "$work/model.gguf" --text "$model/heldout.txt" \
	-o "$work/heldout.trace"
"$COLINK" place "$work/trace" --unseen "$work/heldout.trace" --effort 1 -o "$work/placement" --json \
	>"$work/place.json" 2>/dev/null
reads='(.results | map({key: .name, value: .reads_per_token}) | from_entries) as $r |'
check 'linked needs 25 % fewer reads than identity' \
	holds "$reads \$r.linked <= 0.75 * \$r.identity" "$work/place.json"
check 'linked needs 22 % fewer reads than frequency' \
	holds "$reads \$r.linked <= 0.78 * \$r.frequency" "$work/place.json"
times='(.results | map({key: .name, value: .device_us_per_token}) | from_entries) as $t |'
check 'best costs a device 3 % less than linked, after a short search' \
	holds "$times \$t.best <= 0.97 * \$t.linked" "$work/place.json"
check 'and 20 % less than frequency' \
	holds "$times \$t.best <= 0.8 * \$t.frequency" "$work/place.json"
check 'random order gains nothing' \
	holds "$reads \$r.random >= 0.99 * \$r.identity" "$work/place.json"

# The same model in another order says the same; from a packed file again, too. Sums are rounded
# otherwise, so that one neuron in 100 million may be wanted or not.
evaluate() { # FILE
	"$COLINK" eval "$1" --text "$work/text" --json 2>/dev/null |
		jq -c '[(.perplexity * 10000 | round), (.ffn_wanted_share * 1000000 | round)]'
}
generate() { # FILE
	"$COLINK" run "$1" -p 'Once upon a time, there was a little girl named Lily.' -n 100 \
		--ignore-eos --batch 1 --json 2>/dev/null
}
evaluate "$linked" >"$work/best.eval"
check 'eval' test -s "$work/best.eval"
generate "$linked" >"$work/best.run"
for order in identity random frequency linked; do
	quietly place "$work/trace" --method $order --seed 3 -o "$work/order"
	check "pack in $order order" quietly pack "$linked" --placement "$work/order" \
		-o "$work/$order.gguf"
	check "verify accepts $order order" quietly verify "$work/$order.gguf"
	evaluate "$work/$order.gguf" >"$work/$order.eval"
	check "$order order computes the same" cmp "$work/$order.eval" "$work/best.eval"
	generate "$work/$order.gguf" >"$work/$order.run"
done

# What link has searched for at length, in a run.
cheaper() { # SHARE ORDER
	jq -en --slurpfile best "$work/best.run" --slurpfile other "$work/$2.run" \
		"\$best[0].io.predicted_ms_per_token <= $1 * \$other[0].io.predicted_ms_per_token" \
		>/dev/null || { jq -c .io "$work/best.run" "$work/$2.run"; return 1; }
}
check 'a run in the order of link costs a device 6 % less than in linked order' cheaper 0.94 linked
check 'and 19 % less than in frequency order' cheaper 0.81 frequency

# A trace of the linked file is the trace of the model: neurons, not slots, are recorded. In
# another order of bundles sums are rounded otherwise: a few of the neurons that barely fire do not.
check 'trace of the linked file' quietly trace "$linked" --text "$model/corpus/code.txt" \
	-o "$work/of-linked"
check 'trace of the model' quietly trace "$work/model.gguf" --text "$model/corpus/code.txt" \
	-o "$work/of-model"
for of in linked model; do
	"$COLINK" place "$work/of-$of" --method linked -o "$work/of-$of.placement" --json \
		2>/dev/null | jq '[.results[].layers[] | .reads_per_token, .wanted_per_token]' \
		>"$work/of-$of.json"
done
check 'both place alike' \
	jq -en --slurpfile a "$work/of-linked.json" --slurpfile b "$work/of-model.json" \
	'[$a[0], $b[0]] | transpose | length == 48 and all(.[0] / .[1] > 0.9999 and .[0] / .[1] < 1.0001)'

# Interrupted: nothing is left behind, neither under the final name nor beside it.
interrupted() {
	local before after status=0
	mkdir "$work/$1"
	"$COLINK" link "$model" "${texts[@]}" -o "$work/$1/out.gguf" >/dev/null 2>&1 &
	local pid=$!
	sleep 2
	kill -"$1" $pid
	wait $pid || status=$?
	[ $status -ne 0 ] && [ -z "$(ls -A "$work/$1")" ] || { ls -lA "$work/$1"; return 1; }
}
check 'SIGTERM leaves nothing' interrupted TERM
check 'SIGHUP leaves nothing' interrupted HUP

refused 'a trace without inputs cannot train' 'inputs' \
	"$COLINK" train "$work/model.gguf" --trace "$work/of-model" -o "$work/none"
check 'and nothing is written' test ! -e "$work/none"
refused 'no text to learn from' 'no-such-file' \
	"$COLINK" link "$model" --text "$work/no-such-file" -o "$work/none"
check 'and nothing is left' test -z "$(ls -d "$work"/none* 2>/dev/null)"
finish
