#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pictures of placements, and what placing shows on a terminal, as a user has them: written
# well, refused before the search where that can be known, and nothing half done.
. "${COLINK_TOP:?is not set: run this by tests/run}/tests/helpers/tap.sh"

linked=$COLINK_BUILD/demo/linked.gguf
trace=$work/a.trace
text=$data/demo-model/heldout.txt

quietly() { "$COLINK" "$@" >/dev/null 2>&1; }
holds() {
	jq -e --arg work "$work" "$1" "$2" >/dev/null || { echo "# not so: $1"; return 1; }
}
place() { "$COLINK" place "$trace" -o "$work/placement" "$@"; }
quietly trace "$linked" --text "$text" --tokens 2000 -o "$trace"
quietly trace "$linked" --text "$text" --tokens 500 -o "$work/short.trace"

# embedded FILE N: the Nth image of a picture.
embedded() {
	xmllint --xpath "string((//*[local-name()='image'])[$2]/@*[local-name()='href'])" "$1" |
		sed 's/^data:image\/png;base64,//' | base64 -d
}

# is_png FILE: signature, 1024 x 1024 pixels, and the end.
is_png() {
	[ "$(head -c 24 "$1" | od -An -tx1 | tr -d ' \n')" = \
		89504e470d0a1a0a0000000d494844520000040000000400 ] &&
		tail -c 8 "$1" | head -c 4 | cmp - <(printf IEND)
}

check 'a picture is drawn' quietly place "$trace" -o "$work/placement" --picture "$work/p.svg"
check 'it is well-formed' xmllint --noout "$work/p.svg"
for n in 1 2; do
	embedded "$work/p.svg" $n >"$work/$n.png"
	check "matrix $n is a PNG image" is_png "$work/$n.png"
done
check 'before and after differ' test "$(cmp "$work/1.png" "$work/2.png" | wc -l)" = 1
check 'it is the middle layer' grep -q '>a.trace: layer 3 (of 0 to 5), best<' "$work/p.svg"

mkdir "$work/all"
place --json --threads 1 --pictures "$work/all" --picture "$work/one.svg" --picture-layer 1 \
	>"$work/place.json" 2>"$work/stderr"
check 'nothing on a pipe' test ! -s "$work/stderr"
check 'each layer is drawn' test "$(cd "$work/all" && echo *)" = \
	"$(echo layer-0{0..5}.svg)"
check 'the same on one thread' cmp "$work/all/layer-03.svg" "$work/p.svg"
check 'and by its number' cmp "$work/all/layer-01.svg" "$work/one.svg"
check 'JSON says where, and from how many tokens' holds '
	.picture == $work + "/one.svg" and .pictures == $work + "/all" and
	.tokens == 1492 and .unseen_tokens == 512' "$work/place.json"
check 'a picture is replaced' quietly place "$trace" -o "$work/placement" --method frequency \
	--picture "$work/one.svg"
check 'by another' grep -q '>After: frequency order<' "$work/one.svg"

# misused PATTERN OPTION...: exit status 2, one line, and nothing was done.
misused() {
	local pattern=$1 status=0
	shift
	"$COLINK" place "$trace" -o "$work/none" "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	[ $status = 2 ] && [ "$(wc -l <"$work/stderr")" = 1 ] && [ ! -e "$work/none" ] &&
		grep -qE -- "$pattern" "$work/stderr"
}
check 'a picture that is no SVG' misused '--picture .*/p.png: a picture is FILE.svg' \
	--picture "$work/p.png"
check 'a picture without a name' misused 'a picture is FILE.svg' --picture .svg
check 'a layer of no picture' misused '--picture-layer without' --picture-layer 1
check 'a layer that is no number' misused '--picture-layer' --picture "$work/p.svg" \
	--picture-layer x

# What is known before the search: nothing is written, the old picture stays.
cp "$work/p.svg" "$work/kept.svg"
none=(-o "$work/none")
mkdir "$work/folder.svg" "$work/empty"
refused 'a layer that is not there' 'a.trace: there is no layer 6 to draw: the last one is 5' \
	"$COLINK" place "$trace" "${none[@]}" --picture "$work/p.svg" --picture-layer 6
refused 'a trace without unseen tokens' 'short.trace: too short for a picture' \
	"$COLINK" place "$work/short.trace" "${none[@]}" --picture "$work/p.svg"
refused 'of all layers, too' 'short.trace: too short for a picture' \
	"$COLINK" place "$work/short.trace" "${none[@]}" --pictures "$work/empty"
refused 'a folder that is not there' "$work/no/p.svg.*: No such file" \
	"$COLINK" place "$trace" "${none[@]}" --picture "$work/no/p.svg"
refused 'of all layers' "$work/no/layer-00.svg.*: No such file" \
	"$COLINK" place "$trace" "${none[@]}" --pictures "$work/no"
refused 'a folder as a picture' "$work/folder.svg: is a directory" \
	"$COLINK" place "$trace" "${none[@]}" --picture "$work/folder.svg"
check 'no placement is there' test ! -e "$work/none"
check 'nothing is in the folder' test -z "$(ls -A "$work/empty")"
check 'another trace has tokens to draw from' quietly place "$work/short.trace" \
	--unseen "$trace" -o "$work/placement" --pictures "$work/empty"

# What is not: the placement is there, and no part of a picture.
limited() { (trap '' XFSZ; ulimit -f 256 && exec "$@"); }
rm -rf "$work/empty" && mkdir "$work/empty"
refused 'a picture too large for the disk' "$work/p.svg: .*File too large" \
	limited "$COLINK" place "$trace" "${none[@]}" --picture "$work/p.svg"
check 'the old picture stays' cmp "$work/kept.svg" "$work/p.svg"
check 'the placement is complete' quietly pack "$linked" --placement "$work/none" \
	-o "$work/packed.gguf"
refused 'pictures too large for the disk' "$work/empty/layer-00.svg: .*File too large" \
	limited "$COLINK" place "$trace" "${none[@]}" --pictures "$work/empty"
check 'nothing half done' test -z "$(ls -A "$work/empty")$(ls "$work" | grep tmp)"

# columns FILE: each state of the bar fits into 80 columns.
columns() { tr '\r' '\n' <"$1" | sed 's/\x1b\[K//g' | awk 'length > 80 { exit 1 }'; }
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	script -qec "$COLINK place $trace -o $work/placement --pictures $work/empty >/dev/null" \
		/dev/null </dev/null >"$work/terminal"
	check 'a terminal sees layer and step' \
		grep -q '%, [0-9]*:[0-9][0-9] left, layer 3: counting' "$work/terminal"
	for step in counting searching measuring; do
		check "$step is shown" grep -q "layer 5: $step" "$work/terminal"
	done
	check 'within 80 columns' columns "$work/terminal"
	check 'drawing is shown' grep -q 'draw  *[0-9.]* s' "$work/terminal"
else
	skip 'a terminal sees layer and step' 'script(1) cannot make a terminal here'
fi
finish
