#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What every command does with files that are missing, of the wrong kind, cut short,
# damaged or hostile, with a disk that is full, and when it is killed: one line that
# names the file, and never half a file under the name asked for.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

demo=$data/demo-model
linked=$COLINK_BUILD/demo/linked.gguf
text=$demo/heldout.txt
out=$work/out/file
mkdir "$work/out"

quietly() { "$@" >/dev/null 2>&1; }

# nothing_left: neither the output nor a temporary file.
nothing_left() {
	[ -z "$(ls -A "$work/out")" ] || { ls -A "$work/out" | sed 's/^/# left: /'; return 1; }
}

refuses_cleanly() { refuses "$@" && nothing_left; }

# refused_cleanly NAME PATTERN COMMAND ...: as refused, and nothing is left.
refused_cleanly() {
	local name=$1
	shift
	check "$name" refuses_cleanly "$@"
}

# flipped FILE OFFSET COPY: the copy has another last bit at the offset.
flipped() {
	local byte
	cp "$1" "$3"
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059
	printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$3" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

quietly "$COLINK" import "$demo" -o "$work/model.gguf"
quietly "$COLINK" trace "$work/model.gguf" --text "$text" --tokens 600 --inputs -o "$work/trace"
quietly "$COLINK" place "$work/trace" -o "$work/placement"
quietly "$COLINK" train "$work/model.gguf" --trace "$work/trace" -o "$work/predictor"
check 'the good files are there' test -s "$work/placement" -a -s "$work/predictor"

# Files that are no models, by what the message says besides their name.
bad=$work/bad
mkdir -p "$bad/directory"
: >"$bad/empty"
mkfifo "$bad/fifo"
head -c 300000 "$text" >"$bad/text"
head -c 10000000 "$linked" >"$bad/truncated"
head -c 1000 "$linked" >"$bad/head"
awk 'BEGIN { srand(7); for (i = 0; i < 20000; i++) printf "%c", 1 + int(254 * rand()) }' \
	>"$bad/random"

for kind in missing directory empty fifo text truncated head random; do
	file=$bad/$kind
	for command in "run $file -p x -n 1" "eval $file --text $text" "logits $file -p x" \
		"tokenize $file -p x" "info $file" "verify $file" "load $file" \
		"trace $file --text $text -o $out" "train $file --trace $work/trace -o $out" \
		"pack $file --placement $work/placement -o $out" "place $file -o $out" \
		"train $work/model.gguf --trace $file -o $out" \
		"bench replay $file --trace $work/trace" "bench replay $linked --trace $file" \
		"bench touch $file --trace $work/trace --dir $work/out" \
		"bench touch $linked --trace $file --dir $work/out" \
		"bench place demo --trace $file" "bench place demo --trace $work/trace --unseen $file" \
		"pack $work/model.gguf --placement $file -o $out" \
		"pack $work/model.gguf --placement $work/placement --predictor $file -o $out"; do
		# shellcheck disable=SC2086
		refused_cleanly "$kind: ${command//$work\//}" "bad/$kind" "$COLINK" $command
	done
done
for kind in missing directory fifo random; do
	refused "$kind text for eval" "bad/$kind" "$COLINK" eval "$linked" --text "$bad/$kind"
	refused_cleanly "$kind text for trace" "bad/$kind" \
		"$COLINK" trace "$work/model.gguf" --text "$bad/$kind" -o "$out"
done
for kind in missing directory empty text; do
	refused_cleanly "$kind checkpoint for import" "bad/$kind" \
		"$COLINK" import "$bad/$kind" -o "$out"
	refused_cleanly "$kind checkpoint for link" "bad/$kind" \
		"$COLINK" link "$bad/$kind" --text "$text" -o "$out"
done

# A flipped bit, in the header, the resident part, the bundles, the checksums.
size=$(stat -c %s "$linked")
for offset in 1000 1000000 5000000 $((size - 1000000)) $((size - 20)); do
	flipped "$linked" "$offset" "$work/flipped.gguf"
	refused "verify finds a flipped bit at $offset of $size" 'flipped.gguf' \
		"$COLINK" verify "$work/flipped.gguf"
	refused_cleanly "pack finds a flipped bit at $offset" 'flipped.gguf' \
		"$COLINK" pack "$work/flipped.gguf" --placement "$work/placement" -o "$out"
	[ "$offset" -lt $((size - 1000000)) ] || continue
	refused "run refuses a flipped bit at $offset" 'flipped.gguf' \
		"$COLINK" run "$work/flipped.gguf" -p x -n 1
done
for file in trace placement predictor; do
	flipped "$work/$file" $(($(stat -c %s "$work/$file") / 2)) "$work/flipped"
	case $file in
	trace) set -- place "$work/flipped" ;;
	placement) set -- pack "$work/model.gguf" --placement "$work/flipped" ;;
	predictor) set -- pack "$work/model.gguf" --placement "$work/placement" \
		--predictor "$work/flipped" ;;
	esac
	refused_cleanly "a flipped bit in a $file" 'flipped' "$COLINK" "$@" -o "$out"
done

# The benchmark takes a linked model and a trace of the same one.
refused_cleanly 'bench touch: a model that is not packed' 'model.gguf: has no hints' \
	"$COLINK" bench touch "$work/model.gguf" --trace "$work/trace" --dir "$work/out"
cp -r "$demo" "$work/other"
size=$(stat -c %s "$demo/model.safetensors")
flipped "$demo/model.safetensors" $((size - 2)) "$work/other/model.safetensors"
quietly "$COLINK" import "$work/other" -o "$work/other.gguf"
quietly "$COLINK" trace "$work/other.gguf" --text "$text" --tokens 10 -o "$work/other.trace"
refused_cleanly 'bench touch: the trace of another model' \
	'other.trace: the trace of another model than .*/linked.gguf' \
	"$COLINK" bench touch "$linked" --trace "$work/other.trace" --dir "$work/out"

refused 'bench replay: the trace of another model' \
	'other.trace: the trace of another model than .*/linked.gguf' \
	"$COLINK" bench replay "$linked" --trace "$work/other.trace"

# Text that is none.
refused 'run: a prompt that is not UTF-8' 'UTF-8' "$COLINK" run "$linked" -p $'a\xff' -n 1
refused 'tokenize: a prompt that is not UTF-8' 'UTF-8' "$COLINK" tokenize "$linked" -p $'\xc3'
refused 'logits: ids beyond the vocabulary' '4096' "$COLINK" logits "$linked" --ids 2,4096
refused 'link: a text that is not UTF-8' 'bad/random' \
	"$COLINK" link "$demo" --text "$bad/random" -o "$out"
check 'link leaves nothing' nothing_left

# Wrong usage: status 2, one line, no output.
misused() {
	local status=0
	"$COLINK" "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	if [ $status != 2 ] || [ "$(wc -l <"$work/stderr")" != 1 ] || [ -s "$work/stdout" ]; then
		echo "# status $status, expected 2 and one line"
		sed 's/^/# /' "$work/stderr"
		return 1
	fi
}
for command in link run eval logits tokenize info verify load import trace place train pack; do
	check "$command: an unknown option" misused $command "$linked" --frobnicate
	check "$command: no argument" misused $command
	check "$command: an argument too many" misused $command "$linked" "$linked"
done
for option in '-n x' '-n -1' '-n 99999999999' '--temp nan' '--temp -1' '--top-p 1.5' \
	'--cache-ratio 2' '--io floppy' '--threads' '-Z'; do
	# shellcheck disable=SC2086
	check "run $option" misused run "$linked" -p x $option
done
check 'unload: an unknown option' misused unload --frobnicate
check 'unload: an argument too many' misused unload "$linked" "$linked"
check 'an unknown command' misused frobnicate

# A pickle that would run a program: archive/data.pkl is os.system("true").
mkdir "$work/hostile"
cp "$demo"/*.json "$demo/merges.txt" "$work/hostile/"
base64 -d >"$work/hostile/pytorch_model.bin" <<'END'
UEsDBBQAAAAAAAAAIQDrCd6KGQAAABkAAAAQAAAAYXJjaGl2ZS9kYXRhLnBrbIACY29zCnN5c3RlbQpYBAAAAHRydW
WFUi5QSwMEFAAAAAAAAAAhANGeZ1UCAAAAAgAAAA8AAABhcmNoaXZlL3ZlcnNpb24zClBLAQIUAxQAAAAAAAAAIQDr
Cd6KGQAAABkAAAAQAAAAAAAAAAAAAACAAQAAAABhcmNoaXZlL2RhdGEucGtsUEsBAhQDFAAAAAAAAAAhANGeZ1UCAA
AAAgAAAA8AAAAAAAAAAAAAAIABRwAAAGFyY2hpdmUvdmVyc2lvblBLBQYAAAAAAgACAHsAAAB2AAAAAAA=
END
refused_cleanly 'a hostile pickle is named' 'pytorch_model.bin.*os.system|os.*system' \
	"$COLINK" import "$work/hostile" -o "$out"

# Places where nothing can be written.
refused 'import into a folder that is not there' 'none/file' \
	"$COLINK" import "$demo" -o "$work/none/file"
refused 'import over a directory' 'is a directory' "$COLINK" import "$demo" -o "$work/out"
refused 'import over a device' 'not a regular file' "$COLINK" import "$demo" -o /dev/full
check 'the device is still one' test -c /dev/full

# Output that does not arrive.
to_full() { "$@" >/dev/full; }
for command in "run $linked -p x -n 1" "run $linked -p x -n 1 --json" "tokenize $linked -p x" \
	"tokenize $linked -p x --json" "info $linked" "info $linked --json" "verify $linked" \
	"verify $linked --json" "logits $linked -p x" "logits $linked -p x --json" \
	"eval $linked --text $text --json --ctx 512" \
	"import $demo -o $work/again.gguf" "run --help" "bench --help" "bench touch --help" \
	"--help"; do
	# shellcheck disable=SC2086
	refused "full stdout: ${command//$work\//}" 'No space left' to_full "$COLINK" $command
done

# A full disk: of a small file system for root, of a limit on file sizes for everybody.
limited() { (ulimit -f "$1" && shift && exec "$@"); }
for command in "import $demo" "pack $work/model.gguf --placement $work/placement" \
	"link $demo --text $text --tokens 600" \
	"trace $work/model.gguf --text $text --tokens 600 --inputs" \
	"train $work/model.gguf --trace $work/trace"; do
	# shellcheck disable=SC2086
	refused_cleanly "a limit on file sizes: ${command%% *}" 'File too large' \
		limited 400 "$COLINK" $command -o "$out"
done
refused_cleanly 'a limit on file sizes: place' 'File too large' \
	limited 1 "$COLINK" place "$work/trace" -o "$out"
# Where nothing can be measured, as on tmpfs, a benchmark ends before it comes to that.
measurable=yes
quietly "$COLINK" bench touch "$linked" --trace "$work/trace" --dir "$work/out" --tokens 1 \
	--repeat 1 || measurable=no
if [ $measurable = yes ]; then
	refused_cleanly 'a limit on file sizes: bench touch' 'at 409600: File too large' \
		limited 400 "$COLINK" bench touch "$linked" --trace "$work/trace" --dir "$work/out"
else
	skip 'a limit on file sizes: bench touch' 'nothing can be measured here'
fi

mkdir "$work/disk"
if mount -t tmpfs -o size=2m tmpfs "$work/disk" 2>/dev/null; then
	trap 'umount "$work/disk"; rm -rf "$work"' EXIT
	for command in "import $demo" "pack $work/model.gguf --placement $work/placement"; do
		# shellcheck disable=SC2086
		refused "a full disk: ${command%% *}" 'No space left' \
			"$COLINK" $command -o "$work/disk/file"
		check "a full disk: ${command%% *} leaves nothing" \
			test -z "$(ls -A "$work/disk")"
	done
else
	skip 'a full disk' 'no file system can be mounted here'
fi

# Killed while it works: nothing is there then, not even under a temporary name where the
# file system has files without names (O_TMPFILE).
killed() {
	local delay=$1 pid
	shift
	"$COLINK" "$@" -o "$out" >/dev/null 2>&1 &
	pid=$!
	sleep "$delay"
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	rm -f "$out.tmp-$pid"
	# Either nothing, or all of it: then the work was done before it was killed.
	if [ -e "$out" ]; then
		quietly "$COLINK" verify "$out" || return 1
		rm "$out"
	fi
	nothing_left
}
# As soon as the benchmark has its file. What bash starts in the background ignores SIGINT.
interrupted() {
	local signal=$1 status=0 pid
	shift
	env --default-signal=INT "$COLINK" "$@" --dir "$work/out" >/dev/null 2>&1 &
	pid=$!
	while [ -d "/proc/$pid" ] && ! readlink "/proc/$pid"/fd/* | grep -q "^$work/out/"; do
		sleep 0.01
	done
	kill -"$signal" $pid
	wait $pid || status=$?
	[ $status -gt 128 ] || { echo "# status $status: it was over"; return 1; }
	nothing_left
}
for signal in INT TERM KILL; do
	if [ $measurable = no ]; then
		skip "benchmarks after SIG$signal" 'nothing can be measured here'
		continue
	fi
	check "bench prefetch leaves nothing after SIG$signal" interrupted $signal bench prefetch
	check "bench touch leaves nothing after SIG$signal" \
		interrupted $signal bench touch "$linked" --trace "$work/trace"
done
for delay in 0.01 0.02 0.03 0.05 0.1; do
	check "import killed after $delay s leaves nothing under its name" \
		killed $delay import "$demo"
	check "pack killed after $delay s leaves nothing under its name" \
		killed $delay pack "$work/model.gguf" --placement "$work/placement"
done

finish
