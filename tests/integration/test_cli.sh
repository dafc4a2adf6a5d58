#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What all commands have in common: usage errors, output that cannot be written,
# and mistakes that should show before hours of work, not after.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

model=$data/demo-model
linked=$COLINK_BUILD/demo/linked.gguf

# misused PATTERN COMMAND ...: exit status 2 and one line on stderr, which has PATTERN.
misused() {
	local pattern=$1 status=0
	shift
	"$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	[ $status = 2 ] && [ "$(wc -l <"$work/stderr")" = 1 ] && [ ! -s "$work/stdout" ] &&
		grep -qE -- "$pattern" "$work/stderr" && return
	echo "# status $status, expected 2 and one line with: $pattern"
	sed 's/^/# /' "$work/stderr"
	return 1
}

holds() { jq -e "$1" "$2" >/dev/null || { echo "# not so: $1"; cat "$2"; return 1; }; }

check 'an unknown option is named' misused 'unknown option --nope' "$COLINK" run "$linked" --nope
check 'an unknown letter within a word is named' \
	misused 'unknown option -x ' "$COLINK" run "$linked" -xyz
check 'an infinite temperature' misused '--temp inf' "$COLINK" run "$linked" -p a --temp inf
check 'a top-p of 0' misused '--top-p 0' "$COLINK" run "$linked" -p a --top-p 0
check 'a cache policy that is not there' misused '--cache-policy mru' \
	"$COLINK" run "$linked" -p a --cache-policy mru
check 'more hot than there is cache' misused '--cache-hot 1.5' \
	"$COLINK" run "$linked" -p a --cache-hot 1.5
check 'a cache larger than all' misused '--cache-ratio 2' \
	"$COLINK" run "$linked" -p a --cache-ratio 2

check 'more threads than possible' misused '--threads 4000' "$COLINK" run "$linked" -p a -t 4000
refused 'in place, too' '4000 threads' "$COLINK" link "$model" --text "$model/heldout.txt" \
	--tokens 1000 -t 4000 -o "$work/none"
check 'a queue too deep' misused '--queue-depth 9999' \
	"$COLINK" run "$linked" -p a --queue-depth 9999

check 'an unknown way of cost' misused '--device-cost free: has to be' \
	"$COLINK" run "$linked" -p a --device-cost free
check 'a read-ahead of what is not mapped' misused '--read-ahead' \
	"$COLINK" run "$linked" -p x --io uring --read-ahead 0
check 'an unknown way to leave the page cache' misused '--after-use burn: has to be' \
	"$COLINK" run "$linked" -p x --io kernel --after-use burn
check 'a gap that would have to be two' misused '--gap with --device-cost refine' \
	"$COLINK" eval "$linked" --text "$model/heldout.txt" --gap 0 --device-cost refine

for option in '--interval 0' '--interval -1' '--interval nan' '--interval 1e9' '--interval' \
	'--count x' '--count -1' '--frobnicate'; do
	# shellcheck disable=SC2086
	check "stat $option" misused "${option%% *}" "$COLINK" stat "$linked" $option
done
mkfifo "$work/fifo"
for file in no-such-file fifo .; do
	refused "stat of $file, with another that is good" "$work/$file: " \
		"$COLINK" stat "$linked" "$work/$file"
done
# Whoever may not load BPF programs is told so.
if "$COLINK" stat --count 1 --interval 0.1 >/dev/null 2>&1; then
	check 'stat of a file given twice' "$COLINK" stat "$linked" "$linked" --count 1 \
		--interval 0.1 --json
else
	refused 'stat where BPF is refused' 'cannot (open|load|attach) BPF programs: ' \
		"$COLINK" stat "$linked" "$linked" --count 1
fi

check 'synth of no shape' misused 'expected: SHAPE' "$COLINK" synth
check 'synth of an unknown shape' misused "no shape 'gpt-2'; there are: opt-350m opt-1.3b" \
	"$COLINK" synth gpt-2 --trace "$work/t"
check 'synth of nothing' misused '--trace OUT is missing' "$COLINK" synth opt-350m
for option in '--tokens x' '--tokens -1' '--seed x' '--frobnicate' extra; do
	# shellcheck disable=SC2086
	check "synth $option" misused 'see .colink synth --help' \
		"$COLINK" synth opt-350m --trace "$work/t" $option
done
refused 'synth of no tokens' 'no tokens' "$COLINK" synth opt-350m --trace "$work/t" --tokens 0
check 'synth says what it wrote' grep -q '"shape":"opt-350m","model":null,"trace":".*/t","tokens":40,"seed":3' \
	<("$COLINK" synth opt-350m --trace "$work/t" --tokens 40 --seed 3 --json)
check 'and what it wrote can be placed' "$COLINK" place "$work/t" -o "$work/p" --json

# What placing gains is told in device time, by whatever device and cache are asked for.
for option in '--cache-ratio 1.01' '--cache-ratio nan' '--cache-ratio x' '--a-us -1' '--a-us inf' \
	'--b-us-per-mib 0' '--b-us-per-mib x' '--bundle-bytes -1' '--bundle-bytes 1k' '--method best-of' \
	'--frobnicate' extra; do
	# shellcheck disable=SC2086
	check "place $option" misused 'see .colink place --help' \
		"$COLINK" place "$work/t" -o "$work/p" $option
done

# What would be lost: a file that is read, or the other one that is written.
cp "$work/t" "$work/t2"
cp "$linked" "$work/a.gguf"
ln -s t "$work/trace-link"
check 'a placement over its trace' misused 'is a trace that is read' \
	"$COLINK" place "$work/t" -o "$work/trace-link"
check 'over what it is measured on' misused 'is a trace that is read' \
	"$COLINK" place "$work/t" --unseen "$work/t2" -o "$work/t2"
check 'a placement and its picture in one file' misused 'is the picture, too' \
	"$COLINK" place "$work/t" -o "$work/x.svg" --picture "$work/x.svg"
check 'a trace over its model' misused 'is the model' \
	"$COLINK" trace "$work/a.gguf" --text "$model/heldout.txt" -o "$work/a.gguf"
check 'a trace over its text' misused 'is a text' \
	"$COLINK" trace "$linked" --text "$model/heldout.txt" --text "$work/t2" -o "$work/t2"
check 'a predictor over its trace' misused 'is a file that is read' \
	"$COLINK" train "$linked" --trace "$work/t" -o "$work/trace-link"
check 'a model and a trace in one file' misused 'is the trace, too' \
	"$COLINK" synth opt-350m -o "$work/x" --trace "$work/x"
check 'pictures in no folder' misused '--pictures' \
	"$COLINK" place "$work/t" -o "$work/p" --pictures ''
check 'and all are as they were' cmp "$work/t" "$work/t2"

# What cannot be written is said before the work: the first would take minutes.
"$COLINK" trace "$linked" --text "$model/heldout.txt" --tokens 4000 -o "$work/demo.trace" \
	>"$work/stdout" 2>&1
for output in "$work/no/p" ''; do
	refused "a placement in '${output#"$work/"}'" "${output:-is empty}" \
		timeout 20 "$COLINK" place "$work/demo.trace" --effort 3 -o "$output"
	refused "a predictor in '${output#"$work/"}'" "${output:-is empty}" \
		timeout 20 "$COLINK" train "$linked" --trace "$work/t" -o "$output"
done

# A name need not be UTF-8; JSON has to be.
odd=$'odd\xff'
"$COLINK" place "$work/demo.trace" --method identity -o "$work/demo.placement" \
	>"$work/stdout" 2>&1
for command in "import $model" "trace $linked --text $model/heldout.txt --tokens 600" \
	"place $work/t --effort 0" "pack $linked --placement $work/demo.placement"; do
	# shellcheck disable=SC2086
	"$COLINK" $command -o "$work/$odd" --json >"$work/odd.json" 2>"$work/stderr"
	check "${command%% *} into a file whose name is no UTF-8" test $? = 0 -a -s "$work/$odd"
	check 'and says so in JSON' holds '.output | endswith("/odd\ufffd")' "$work/odd.json"
	rm -f "$work/$odd"
done
"$COLINK" synth opt-350m --trace "$work/$odd" --tokens 40 --json >"$work/odd.json"
check 'synth, too' holds '.model == null and (.trace | endswith("/odd\ufffd"))' "$work/odd.json"
"$COLINK" place "$work/t" --method linked -o "$work/$odd" --picture "$work/$odd.svg" --json \
	>"$work/odd.json" 2>/dev/null
check 'and a picture' holds '.picture | endswith("/odd\ufffd.svg")' "$work/odd.json"
rm "$work/$odd" "$work/$odd.svg"

check 'one line, whatever was typed' misused '--io a.b: has to be' "$COLINK" run "$linked" -p x \
	--io $'a\nb'
check 'one line, whatever is called for' misused "unknown command 'x.y'" "$COLINK" $'x\ny'
check 'a top-p that is 0 as a float' misused '--top-p 1e-300' "$COLINK" run "$linked" -p a \
	--temp 1 --top-p 1e-300
check 'to be measured on nothing' misused '--replay 0' "$COLINK" bench place opt-350m --replay 0
place() { "$COLINK" place "$work/t" -o "$work/p" --json "$@" 2>/dev/null >"$work/place.json"; }
place
check 'place: every key of device time is there' holds '
	.unseen_tokens == 4 and .replayed_tokens == 4 and .bundle_bytes == 4096 and
	.cache_ratio == 0.05 and .device.a_us == 8.5 and .device.break_even_bytes == 16505 and
	([.results[] | select(.device_us_per_token > 0 and .device_us_median > 0 and
		.device_us_p99 >= .device_us_median and .against_frequency > 0 and
		.missed_per_token <= .wanted_per_token and .missed_run_length_mean >= 1 and
		.cache_hit_share >= 0 and .device_reads_per_token > 0 and
		.device_bundles_per_token >= .missed_per_token and
		(.runs_by_length | length) == 16)] | length) == (.results | length) and
	(.results[] | select(.name == "frequency") | .against_frequency) == 1' "$work/place.json"
# A MiB of this device costs so much that no gap is read over; a bundle costs 976.5625 us.
place --cache-ratio 0 --a-us 1 --b-us-per-mib 1000000 --bundle-bytes 1024
check 'place: without a cache, and gaps, the time is that of what is wanted' holds '
	([.results[] | select(.cache_hit_share == 0 and .missed_per_token == .wanted_per_token and
		.device_bundles_per_token == .wanted_per_token and
		(.device_us_per_token / (.wanted_per_token * 976.5625 + .device_reads_per_token) -
		 1 | fabs) < 1e-6)] | length) == (.results | length)' "$work/place.json"
place --cache-ratio 1
check 'place: with all cached, some is found' holds \
	'([.results[] | select(.cache_hit_share > 0)] | length) == (.results | length)' \
	"$work/place.json"
check 'for people, there is a table of it' \
	grep -q '^us per token  *[0-9]' <("$COLINK" place "$work/t" -o "$work/p")
check 'and one of run lengths' grep -q '^2-3  *[0-9]' <("$COLINK" place "$work/t" -o "$work/p")
rm -f "$work/t" "$work/p"

check 'no benchmark' misused 'which benchmark' "$COLINK" bench
check 'an unknown benchmark is named' misused "unknown benchmark 'sleep'" "$COLINK" bench sleep
check 'benchmarks are listed' grep -q '^  bench touch ' <("$COLINK" bench --help)
for option in '--repeat 0' '--repeat x' '--seed -1' '--file-mib 511' '--gap 1k' '--dir' \
	'--method telepathy' '--frobnicate' extra; do
	# shellcheck disable=SC2086
	check "bench prefetch $option" misused 'see .colink bench prefetch --help' \
		"$COLINK" bench prefetch $option
done
check 'an unknown method is named' misused "no method 'telepathy'" \
	"$COLINK" bench prefetch --method fault --method telepathy
check 'a file too small' misused 'at least 512 MiB' "$COLINK" bench prefetch --file-mib 511
for option in '--seconds 0' '--seconds 61' '--seconds nan' '--seconds' '--file-mib 63' \
	'--file-mib x' '--seed -1' '--frobnicate' '. ..'; do
	# shellcheck disable=SC2086
	check "bench device $option" misused 'see .colink bench device --help' \
		"$COLINK" bench device $option
done
check 'bench touch of nothing' misused 'expected: MODEL' "$COLINK" bench touch
check 'bench touch without a trace' misused '--trace FILE is needed' \
	"$COLINK" bench touch "$linked"
for option in '--bundle 0' '--bundle 4097' '--bundle -4096' '--tokens 0' '--repeat 0' \
	'--threshold 1.01' '--threshold nan' '--leave-mib x' '--max-hot -1' '--frobnicate' extra; do
	# shellcheck disable=SC2086
	check "bench touch $option" misused 'see .colink bench touch --help' \
		"$COLINK" bench touch "$linked" --trace "$linked" $option
done
check 'a bad bundle is named' misused 'bundles of 4097 bytes: have to be of whole pages' \
	"$COLINK" bench touch "$linked" --trace "$linked" --bundle 4097

check 'bench replay of nothing' misused 'expected: MODEL' "$COLINK" bench replay
check 'bench replay without a trace' misused '--trace FILE is needed' \
	"$COLINK" bench replay "$linked"
for option in '--tokens 0' '--tokens -1' '--skip x' '--compute-us -1' '--io disk' '--gap 1k' \
	'--cache-ratio 1.01' '--cache-policy best' '--after-use burn' '--read-ahead 0' \
	'--queue-depth 9999' '--batch 1' '--threads 1' extra; do
	# shellcheck disable=SC2086
	check "bench replay $option" misused 'see .colink bench replay --help' \
		"$COLINK" bench replay "$linked" --trace "$linked" $option
done
check 'its unknown source is named' misused '--io disk: has to be auto, kernel, uring, mmap' \
	"$COLINK" bench replay "$linked" --trace "$linked" --io disk

check 'bench io of nothing' misused 'expected: MODEL' "$COLINK" bench io
check 'bench io without a trace' misused '--trace FILE is needed' "$COLINK" bench io "$linked"
for option in '--tokens 0' '--repeat 0' '--cache-ratio 1.01' '--cache-ratio nan' '--a-us 0' \
	'--b-us-per-mib -1' '--b-us-per-mib inf' '--queue-depth 0' '--queue-depth 9999' '--seed x' \
	'--method telepathy' '--frobnicate' extra; do
	# shellcheck disable=SC2086
	check "bench io $option" misused 'see .colink bench io --help' \
		"$COLINK" bench io "$linked" --trace "$linked" $option
done
check 'an unknown method of it is named' misused "no method 'telepathy'" \
	"$COLINK" bench io "$linked" --trace "$linked" --method full --method telepathy
for methods in '' '--method full --method linked'; do
	# shellcheck disable=SC2086
	check "reads of methods: $methods" misused 'reads are written of one method' \
		"$COLINK" bench io "$linked" --trace "$linked" --reads "$work/reads" $methods
done

check 'bench place of nothing' misused 'expected: SHAPE' "$COLINK" bench place
check 'bench place of an unknown shape' misused "no shape 'gpt-2'; there are: demo opt-350m" \
	"$COLINK" bench place gpt-2
check 'the demo model has real traces' misused '--trace FILE is needed' "$COLINK" bench place demo
check 'a trace cannot be made independent' misused '--independent is of a trace' \
	"$COLINK" bench place opt-350m --trace "$work/t" --independent
check 'bench place by an unknown method' misused "no method 'best-of'; there are: identity random" \
	"$COLINK" bench place opt-350m --methods greedy,best-of
check 'bench place: copies, but not of best' misused 'are placed by the method best' \
	"$COLINK" bench place opt-350m --copies 0.1 --methods greedy
for option in '--tokens 0' '--copies 0' '--copies 1.01' '--copies 0.1,' '--copies x' '--copies nan' \
	'--copies 0.1,.2,.3,.4,.5,.6,.7,.8,.9' '--tokens x' '--methods greedy,' '--methods linked' '--cache-ratio 1.01' \
	'--cache-ratio nan' '--a-us -1' '--b-us-per-mib 0' '--bundle-bytes 1k' '--replay x' \
	'--warm-up -1' '--seed x' '--frobnicate' extra; do
	# shellcheck disable=SC2086
	check "bench place $option" misused 'see .colink bench place --help' \
		"$COLINK" bench place opt-350m --dir "$work" $option
done
# A trace is generated and taken away again.
mkdir "$work/place"
bench_place() { "$COLINK" bench place "$@" --json >"$work/place.json" 2>/dev/null; }
bench_place opt-350m --tokens 200 --dir "$work/place" --seed 3 --warm-up 2
check 'bench place: every key is there' holds '
	.shape == "opt-350m" and .tokens == 200 and .unseen_tokens == 24 and .replayed_tokens == 22 and
	.generated and (.independent | not) and .layers == 24 and .neurons == 4096 and
	.bundle_bytes == 4096 and .device.a_us == 8.5 and .device.b_us_per_mib == 540 and
	.cache_ratio == 0.05 and .seed == 3 and .threads >= 1 and
	(.seconds | .trace > 0 and .read > 0 and .count > 0 and .search > 0 and .measure > 0) and
	([.results[].name][:4] == ["identity", "random", "frequency", "greedy"]) and
	([.results[] | select(.reads_per_token > 0 and .run_length_mean >= 1 and .search_s >= 0 and
		.device_us_per_token > 0 and .against_frequency > 0)] | length) == (.results | length)' \
	"$work/place.json"
check 'and greedy wins, as on any day' holds '[.results[] | {key: .name, value: .device_us_per_token}] |
	from_entries | .greedy < .frequency and .frequency < .random' "$work/place.json"
bench_place opt-350m --tokens 200 --dir "$work/place" --independent --methods random --methods \
	identity --bundle-bytes 512 --replay 4
check 'some methods, without greedy, and without frequency to compare with' holds '.independent and
	.bundle_bytes == 512 and .replayed_tokens == 4 and .seconds.search == null and
	[.results[].name] == ["identity", "random"] and .results[0].against_frequency == null' \
	"$work/place.json"
check 'the trace is gone' test -z "$(ls -A "$work/place")"
check 'for people, there is a table' grep -q '^greedy  *[0-9]' \
	<("$COLINK" bench place opt-350m --tokens 100 --dir "$work/place" --methods greedy,random)
refused 'bench place where no trace can be made' "$work/no-such-folder" \
	"$COLINK" bench place opt-350m --tokens 100 --dir "$work/no-such-folder"
"$COLINK" synth opt-350m --trace "$work/t" --tokens 60 --seed 3
"$COLINK" synth opt-350m --trace "$work/u" --tokens 10 --seed 3
bench_place opt-350m --trace "$work/t" --unseen "$work/u"
check 'a trace to place on, another to measure on' holds '.tokens == 54 and .unseen_tokens == 10 and
	.replayed_tokens == 9 and (.generated | not) and .seconds.trace == 0' "$work/place.json"
refused 'bench place on the trace of another shape' "$work/t: a trace of 24 layers of 4096" \
	"$COLINK" bench place opt-1.3b --trace "$work/t"
# Layer by layer it takes its time: one effort less, few copies.
bench_place opt-350m --trace "$work/t" --unseen "$work/t" --methods best --effort 1 --copies 0.01,0.02
check 'bench place: copies' holds '([.results[].name] == ["best", "best+1%", "best+2%"]) and
	(.results[0] | has("copies") | not) and
	([.results[1:][] | .copies > 0 and .copies_bytes == .copies * 4096 and .choice_us_per_token > 0 and
	  .against_best > 0.5 and .against_best < 1.5] | all) and
	([.results[].prompts[].tokens] == [32, 256, 32, 256, 32, 256])' "$work/place.json"
check 'bench place: copies, for people' grep -q '^best+1%  *[0-9].*[KM]iB' \
	<("$COLINK" bench place opt-350m --trace "$work/t" --methods best --effort 1 --copies 0.01)
"$COLINK" synth opt-350m --trace "$work/u" --tokens 10 --seed 4
refused 'and measured on that of another model' 'the trace to measure on is of model' \
	"$COLINK" bench place opt-350m --trace "$work/t" --unseen "$work/u"
"$COLINK" synth opt-350m --trace "$work/u" --tokens 1 --seed 3
refused 'and on too few tokens' 'too short to place on a part' \
	"$COLINK" bench place opt-350m --trace "$work/u"
rm -f "$work/t" "$work/u"

# Whoever cannot measure here is told so, and with the first page of the file already.
one_page() { (ulimit -f 4 && exec "$@"); }
mkdir "$work/bench"
"$COLINK" trace "$linked" --text "$model/heldout.txt" --tokens 4 -o "$work/trace" >/dev/null 2>&1
if [ -e /dev/colink ]; then
	skip 'bench touch without the module' 'the module is loaded here'
elif "$COLINK" bench touch "$linked" --trace "$work/trace" --dir "$work/bench" --tokens 3 \
	--repeat 2 --json >"$work/touch.json" 2>"$work/stderr"; then
	check 'bench touch without the module' holds '
		.tokens == 3 and .repeats == 2 and .file_bytes == 6 * 2048 * 4096 and
		(.missing | contains("the module is not loaded")) and
		(.results | map(.name)) == ["mmap", "mmap-random"] and
		(.results | all((.samples | length) == 2 and .ios_per_token > 0))' \
		"$work/touch.json"
else
	check 'bench touch where it cannot measure' \
		grep -qE 'do not leave the page cache|has no statistics' "$work/stderr"
fi
refused 'bench io of a trace with nothing unseen' "$work/trace: too short" \
	"$COLINK" bench io "$linked" --trace "$work/trace"
refused 'bench io of what is no trace' "$linked" \
	"$COLINK" bench io "$linked" --trace "$linked"
"$COLINK" trace "$linked" --text "$model/heldout.txt" --tokens 1500 -o "$work/long-trace" \
	>/dev/null 2>&1
refused 'reads that cannot be written' "$work/bench: is a directory" \
	"$COLINK" bench io "$linked" --trace "$work/long-trace" --method full --reads "$work/bench"
if "$COLINK" bench io "$linked" --trace "$work/long-trace" --tokens 4 --repeat 2 --json \
	--method llm-in-a-flash --method full >"$work/io.json" 2>"$work/stderr"; then
	check 'bench io' holds '
		.shape == "linked" and .tokens == 4 and .repeats == 2 and .missing == [] and
		.device.a_us == 8.5 and .device.queue_depth == 256 and
		(.results | map(.name)) == ["llm-in-a-flash", "full"] and
		(.results | all((.samples | length) == 2 and .io_ms_per_token.median > 0 and
			.reads_per_token > 0 and .bytes_per_token > 0 and .effective_mb_s > 0 and
			.run_length_mean >= 1 and .cache_hit_share > 0 and
			.predicted_ms_per_token > 0 and .bookkeeping_share > 0 and
			(.samples | all(.io_ms | length == 4))))' "$work/io.json"
	"$COLINK" bench io "$linked" --trace "$work/long-trace" --tokens 4 --repeat 2 --json \
		--method full --reads "$work/reads" >"$work/io.json" 2>"$work/stderr"
	check 'bench io writes the reads of one replay' holds \
		".results[0].samples[0].reads_per_token * 4 == $(grep -c ' read ' "$work/reads")" \
		"$work/io.json"
else
	check 'bench io where it cannot measure' grep -q 'do not leave the page cache' \
		"$work/stderr"
fi
check 'bench touch leaves nothing' test -z "$(ls -A "$work/bench")"
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ]; then
	refused 'bench prefetch on tmpfs' '/dev/shm/.* do not leave the page cache' \
		one_page "$COLINK" bench prefetch --dir /dev/shm
else
	skip 'bench prefetch on tmpfs' 'there is no tmpfs here'
fi
for folder in no-such-folder fifo; do
	refused "bench prefetch in $folder" "$work/$folder/.*: cannot create" \
		"$COLINK" bench prefetch --dir "$work/$folder"
done

# A device is measured once, unless it is asked for again; where there is a place for results.
bench_device() { "$COLINK" bench device --seconds 0.05 --file-mib 64 --json "$@"; }
devices=$work/xdg/colink/devices.json
export XDG_CACHE_HOME=$work/xdg
if bench_device "$work/bench" >"$work/device.json" 2>"$work/stderr"; then
	check 'bench device: every key is there' holds '
		.a_us >= 0 and .b_us_per_mib > 0 and .queue_depth >= 1 and .gap_bytes >= 0 and
		.fit_error >= 0 and (.device | .id != "" and .name != "" and has("model")) and
		(.fit | length) == 7 and (.samples | length) >= 7 and .file_bytes == 67108864 and
		(.samples | all(.size > 0 and .depth > 0 and .us > 0 and .iops > 0 and .mb_s > 0 and
				.n > 0)) and
		(.date | test("^20..-")) and .kernel != "" and .source != "" and .kept == false' \
		"$work/device.json"
	check 'and nothing is said, and nothing left' test ! -s "$work/stderr" -a \
		-z "$(ls -A "$work/bench")"
	bench_device "$work/bench" >"$work/again.json"
	check 'what is known is not measured again' \
		test "$(jq -c '.kept = false' "$work/again.json")" = "$(jq -c . "$work/device.json")"
	check 'and it is said' holds .kept "$work/again.json"
	check 'as a table, too' grep -q '^an I/O costs .* gaps of up to ' \
		<("$COLINK" bench device "$work/bench")
	check 'unless it has to be' holds '.kept == false' <(bench_device "$work/bench" --force)
	jq '.devices[].kernel = "0.1"' "$devices" >"$work/old.json" && cp "$work/old.json" "$devices"
	check 'or the kernel is another one' holds '.kept == false' <(bench_device "$work/bench")
	echo '{' >"$devices"
	check 'a broken file of results harms nobody' holds '.kept == false' \
		<(bench_device "$work/bench" 2>"$work/stderr")
	check 'it is told' grep -qE "^colink: $devices: not valid JSON.*; it is ignored$" \
		"$work/stderr"
	check 'and replaced' holds '.version == 1 and (.devices | length) == 1' "$devices"
	: >"$work/no-cache"
	XDG_CACHE_HOME=$work/no-cache bench_device "$work/bench" >"$work/device.json" 2>"$work/stderr"
	check 'a place that is none harms nobody' holds '.kept == false' "$work/device.json"
	check 'it is told, too' grep -q 'the result is not kept$' "$work/stderr"
	check 'nothing but the file of results is left' \
		test "$(find "$work/xdg" -type f)" = "$devices"
else
	check 'bench device where it cannot measure' \
		grep -q 'not, or not all, on a disk' "$work/stderr"
fi
refused 'bench device of what is not there' "$work/nothing: No such file" \
	"$COLINK" bench device "$work/nothing"
refused 'bench device of a pipe' "$work/fifo: not a regular file" \
	"$COLINK" bench device "$work/fifo" --force
refused 'bench device of a small file' 'to measure a device takes 64: name the folder' \
	"$COLINK" bench device "$model/config.json" --force
rm -rf "$work/xdg"
refused 'to leave more memory than there is' 'less than the 9999999999 MiB to be left' \
	"$COLINK" bench touch "$linked" --trace "$work/trace" --dir "$work/bench" \
	--leave-mib 9999999999

# A full disk behind stdout: exit status 1 and one line that says so.
full() { "$COLINK" "$@" >/dev/full; }
refused 'run on a full disk' 'No space left' full run "$linked" -p a -n 2
for command in 'run -p a -n 2' 'logits -p a' 'tokenize -p a' info verify; do
	name=${command%% *}
	options=${command#"$name"}
	# shellcheck disable=SC2086
	refused "$name --json on a full disk" 'standard output' full $name "$linked" $options --json
done

# Found out before anything is imported or traced.
mkdir "$work/folder"
refused 'a folder as the output of link' 'is a directory' \
	"$COLINK" link "$work/no-such-model" --text "$model/heldout.txt" -o "$work/folder"

refused 'a rank beyond the width' '--rank 257' "$COLINK" link "$model" \
	--text "$model/corpus/stories.txt" --rank 257 -o "$work/none"
check 'and nothing is left' test -z "$(ls -d "$work"/none* 2>/dev/null)"

resident=$("$COLINK" info "$linked" --json | jq .resident_bytes)
"$COLINK" run "$linked" -p a -n 2 --json --cache-ratio 0 --io mmap >"$work/no-cache.json"
"$COLINK" run "$linked" -p a -n 2 --json --cache-ratio 1 --io mmap >"$work/cache.json"
check 'run tells the DRAM that it needs' holds ".dram_bytes >= $resident" "$work/no-cache.json"
check 'with it that of the cache' holds \
	".dram_bytes == $(jq .dram_bytes "$work/no-cache.json") + 6 * 2048 * (1024 + 8)" \
	"$work/cache.json"

check 'and the most memory that it had' holds ".memory.peak_bytes >= $resident" "$work/no-cache.json"
check 'the first token comes after the prompt' holds \
	'.first_token.seconds > .prompt_seconds and .first_token.read_bytes >= 0' \
	"$work/no-cache.json"
"$COLINK" run "$linked" -p a -n 2 --json --io mmap --read-ahead 0 >"$work/random.json"
check 'a mapped file without read-ahead' holds '.io.detail == "mmap, MADV_RANDOM"' \
	"$work/random.json"


if [ -e /dev/colink ]; then
	skip 'without the module' 'it is loaded'
else
	for command in run logits; do
		refused "$command --io kernel without the module" \
			'/dev/colink: the module is not loaded .*; --io uring does without' \
			"$COLINK" "$command" "$linked" -p a --io kernel
	done
	"$COLINK" run "$linked" -p a -n 2 --json --io auto >"$work/auto.json"
	check 'auto says why' holds '(.io.source == "uring" or .io.source == "pread") and
		.io.chosen == "the module is not loaded"' "$work/auto.json"
	check 'and people see it' grep -q '; auto: the module is not loaded)$' \
		<("$COLINK" run "$linked" -p a -n 2 2>&1 >"$work/none")
	check 'what was named was not chosen' holds '.io | has("chosen") and .chosen == null' \
		"$work/random.json"
fi

head -c 1800 "$model/heldout.txt" >"$work/short.txt"
"$COLINK" link "$model" --text "$work/short.txt" -o "$work/short.gguf" --json >"$work/short.json"
check 'a text too short to keep tokens apart still links' "$COLINK" verify "$work/short.gguf"
check 'and says that nothing was measured' jq -e '.place.unseen_tokens == 0 and
	(.place.results | length) == 5 and .place.results[0].run_length_mean == 0' \
	"$work/short.json"

# nohup ignores SIGHUP: so must link, which otherwise cleans up and dies of it.
survives_hangup() {
	(trap '' HUP; exec "$COLINK" link "$model" --text "$model/corpus/code.txt" --tokens 4000 \
		-o "$work/survivor.gguf" >/dev/null 2>&1) &
	local pid=$!
	while [ -d "/proc/$pid" ] && ! ls -d "$work"/survivor.gguf.link-* >/dev/null 2>&1; do
		sleep 0.05
	done
	kill -HUP $pid
	wait $pid
}
check 'link outlives a SIGHUP that is ignored' survives_hangup

# What a module and a program in the kernel need is tested in tests/selftests.
export COLINK_STATE=$work/state
for threshold in -0.1 1.01 inf; do
	check "a threshold of $threshold" misused "--threshold" \
		"$COLINK" load "$linked" --threshold $threshold
done
check 'a run too long' misused '--max-run: at most' "$COLINK" load "$linked" --max-run 1048577
check 'too many hot runs' misused '--max-hot: at most' "$COLINK" load "$linked" --max-hot 1048577
for option in '--threshold 0.5' '--max-run 3' '--max-hot 3' '--gap 0' --foreground; do
	# shellcheck disable=SC2086
	check "a status with $option" misused '--status changes nothing' \
		"$COLINK" load "$linked" --status $option
done
if [ -e /dev/colink ]; then
	skip 'load without the module' 'the module is loaded here'
else
	refused 'load without the module' 'the module is not loaded' "$COLINK" load "$linked"
	refused 'in the foreground, too' 'the module is not loaded' \
		"$COLINK" load "$linked" --foreground --json
fi
refused 'the status of what is not loaded' 'is not loaded' "$COLINK" load "$linked" --status
refused 'to unload what is not loaded' 'is not loaded' "$COLINK" unload "$linked"
check 'to unload all when there is none' "$COLINK" unload
check 'as JSON' holds '. == { unloaded: [] }' <("$COLINK" unload --json)
: >"$work/no-folder"
refused 'a state folder that is none' 'no-folder' "$COLINK" unload --state "$work/no-folder"
check 'nothing was made' test ! -e "$work/state"

ln -s "$model" "$work/link"
"$COLINK" import "$work/link" -o "$work/by-link.gguf" >/dev/null
(cd "$model" && "$COLINK" import . -o "$work/by-dot.gguf" >/dev/null)
check 'the same file by a link and from within' cmp "$work/by-link.gguf" "$work/by-dot.gguf"
check 'named as the folder' \
	test "$("$COLINK" info "$work/by-dot.gguf" --json | jq -r .name)" = demo-model
finish
