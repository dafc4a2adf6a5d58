#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libcolink as others get it: installed below an empty folder, found by pkg-config, used by
# the example in C and in C++, shared and static; the manual page; the example's refusals.
. "$COLINK_TOP/tests/helpers/tap.sh"
. "$COLINK_TOP/tests/helpers/gguf.sh"

command -v pkg-config >/dev/null || {
	echo '1..0 # SKIP no pkg-config here'
	exit 77
}

dest=$work/root
prefix=/opt/colink
lib=$dest$prefix/lib
include=$dest$prefix/include
example=$COLINK_TOP/Documentation/examples/gather_rows.c
# A library under sanitizers wants them in the program too.
sanitize=
nm "$COLINK_BUILD/libcolink.a" | grep -q __asan_ && sanitize='-fsanitize=address,undefined'

make_it() {
	make -C "$COLINK_TOP" --no-print-directory BUILD="$COLINK_BUILD" \
		SANITIZE=$([ -z "$sanitize" ] || echo 1) DESTDIR="$dest" PREFIX=$prefix "$@" >"$work/log" 2>&1 ||
		{ sed 's/^/# /' "$work/log"; return 1; }
}
package() {
	PKG_CONFIG_SYSROOT_DIR=$dest PKG_CONFIG_LIBDIR=$lib/pkgconfig:$system pkg-config "$@" colink
}
system=$(pkg-config --variable pc_path pkg-config)

check 'make install' make_it install
check 'version' [ "$(package --modversion)" = 0.1 ]
check 'where it is' [ "$(package --variable=libdir)" = "$dest$prefix/lib" -o \
	"$(package --variable=libdir)" = $prefix/lib ]

# --- Symbols ---

names='colink_prefetch colink_prefetcher_backend colink_prefetcher_close
colink_prefetcher_describe colink_prefetcher_error colink_prefetcher_open'
exports() { # FILE OPTION: functions and data that it defines for others
	nm $2 --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		grep -vE '^(__odr_asan|_?_?asan|$)' | sort
}
check 'the shared library exports its functions only' \
	[ "$(exports "$lib/libcolink.so.0" -D)" = "$(tr ' ' '\n' <<<"$names")" ]
check 'so does the static one' \
	[ "$(exports "$lib/libcolink.a" -g)" = "$(tr ' ' '\n' <<<"$names")" ]
soname() { readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p'; }
check 'its name' [ "$(soname "$lib/libcolink.so")" = libcolink.so.0 ]
functions=$(grep -oE '^[a-z].*\bcolink_[a-z_]+\(' "$include/colink/prefetch.h" |
	grep -oE 'colink_[a-z_]+\($' | tr -d '(' | sort)
check 'what the header declares is what is exported' \
	[ "$functions" = "$(tr ' ' '\n' <<<"$names")" ]

# --- The header by itself ---

printf '#include <colink/prefetch.h>\n' >"$work/header.c"
strict='-Wall -Wextra -pedantic -pedantic-errors -Werror -fsyntax-only'
check 'the header is C99' gcc -std=c99 $strict $(package --cflags) "$work/header.c"
have_cxx=1
command -v g++ >/dev/null || have_cxx=
if [ "$have_cxx" ]; then
	check 'and C++11' g++ -x c++ -std=c++11 $strict $(package --cflags) "$work/header.c"
else
	skip 'and C++11' 'no g++ here'
fi

# --- The example ---

# A file of more than the readahead window, of two matrices and values of all kinds.
model=$work/model.gguf
{
	gguf_header 3 5
	string general.name; u32 8; string 'a plain one'
	string tokens; u32 9; u32 8; u64 2; string one; string two
	string scores; u32 9; u32 6; u64 3; u32 1; u32 2; u32 3
	string general.alignment; u32 4; u32 64
	string flag; u32 7; printf '\1'
	gguf_matrix bytes 1000 3000 24 0
	gguf_matrix blocks 512 2000 8 3000000
	string vector; u32 1; u64 7; u32 0; u64 0
} >"$model"
header=$(stat -c %s "$model")
gguf_pad "$model" 64
data_at=$(stat -c %s "$model")
seq -w 1 2000000 | head -c $((3000000 + 2000 * 512 / 32 * 34)) >>"$model"

# compile NAME COMPILER ...: with what pkg-config says beside.
compile() {
	local name=$1
	shift
	"$@" $sanitize -Wall -Wextra -pedantic -Werror -O2 $(package --cflags) "$example" \
		-o "$work/$name" $libs
}
sums() { grep -oE 'checksum [0-9a-f]{16}' "$work/out" | sort -u | wc -l; }
# gathers NAME ARGUMENT ...: the same bytes with and without.
gathers() {
	local name=$1
	shift
	LD_LIBRARY_PATH=$lib "$work/$name" "$@" >"$work/out" && [ "$(sums)" = 1 ] &&
		[ "$(grep -c . "$work/out")" = 4 ]
}
try() { # NAME COMPILER ...
	check "compile: $1" compile "$@"
	check "run: $1" gathers "$1" -n 300 "$model" bytes
}
libs=$(package --libs)
try shared gcc -std=c99
check 'it is the shared library' sh -c "readelf -d '$work/shared' | grep -q 'libcolink.so.0'"
[ -z "$have_cxx" ] || try shared-cxx g++ -x c++ -std=c++11
if [ "$sanitize" ]; then
	skip 'static' 'not under sanitizers'
else
	libs=$(package --static --libs)
	try static gcc -std=c99 -static
	check 'it needs no library' sh -c "! readelf -d '$work/static' | grep -q NEEDED"
	[ -z "$have_cxx" ] || try static-cxx g++ -x c++ -std=c++11 -static
fi

export LD_LIBRARY_PATH=$lib
run=$work/shared
check 'a type of blocks' gathers shared -s 3 "$model" blocks
check 'without gaps' gathers shared -g 0 "$model" bytes
check 'with MADV_RANDOM' gathers shared -r "$model" bytes
check 'posix_fadvise' gathers shared -b fadvise "$model" bytes
if "$run" -b uring "$model" bytes >/dev/null 2>&1; then
	check 'io_uring' gathers shared -b uring "$model" bytes
else
	skip 'io_uring' 'no io_uring here'
fi
# FNV-1a of rows that all are the same, whichever they are, is known.
{ gguf_header 1 0; gguf_matrix a 4 1 24 0; } >"$work/one"
gguf_pad "$work/one" 32
printf abcd >>"$work/one"
check 'the right bytes' sh -c "'$run' -n 1 '$work/one' a | grep -q 'checksum fc179f83ee0724dd'"
check 'lists what there is' [ "$("$run" "$model")" = "bytes: 3000 rows of 1000 bytes
blocks: 2000 rows of 544 bytes" ]

# --- What it refuses ---

refused 'no such tensor' "there is no tensor 'x'" "$run" "$model" x
refused 'a vector' 'vector is no matrix' "$run" "$model" vector
refused 'no such file' 'No such file' "$run" "$work/none"
refused 'a directory' 'not a regular file' "$run" "$work"
printf 'GGUX----------------------------' >"$work/bad"
refused 'another kind of file' 'is no GGUF file' "$run" "$work/bad"
: >"$work/bad"
refused 'an empty file' 'ends within its tensor table' "$run" "$work/bad"
refused 'no rows' 'nothing to gather' "$run" -n 0 "$model" bytes
refused 'more rows than memory' 'too many rows|out of memory' "$run" -n 9000000000000000000 "$model" bytes
refused 'what is no number' 'not a number' "$run" -n 1x "$model" bytes
if [ ! -e /dev/colink ]; then
	refused 'a backend that is not there' 'the module is not loaded' "$run" -b module "$model" bytes
fi
bad() { # NAME PATTERN: of $work/bad
	refused "$1" "$2" "$run" "$work/bad" a
}
{ printf GGUF; u32 1; u64 0; u64 0; } >"$work/bad"
bad 'version 1' 'GGUF version 1'
{ gguf_header 1 1; u64 -1; } >"$work/bad"
bad 'a name that never ends' 'ends within|more than the file'
{ gguf_header 1 1; string k; u32 9; u32 9; u64 1; u32 0; u64 0; } >"$work/bad"
bad 'arrays of arrays' 'an array of arrays'
{ gguf_header 1 1; string k; u32 9; u32 10; u64 -1; } >"$work/bad"
bad 'an array that never ends' 'more values than the file has bytes'
{ gguf_header 1 1; string k; u32 13; u64 0; } >"$work/bad"
bad 'an unknown type of value' 'unknown type 13'
{ gguf_header 1 1; string general.alignment; u32 4; u32 48; gguf_matrix a 4 1 0 0; } >"$work/bad"
bad 'an odd alignment' 'no power of two'
{ gguf_header 1 0; string a; u32 5; } >"$work/bad"
bad 'too many dimensions' '5 dimensions'
{ gguf_header 1 0; gguf_matrix a 4 1 99 0; } >"$work/bad"
bad 'an unknown type of tensor' 'no matrix of a type'
{ gguf_header 1 0; gguf_matrix a 33 1 8 0; } >"$work/bad"
bad 'half a block' 'no matrix of a type'
for numbers in '4 2 0 0' '4 4611686018427387904 0 0' '4611686018427387904 4 0 0' '4 1 0 -16'; do
	{ gguf_header 1 0; gguf_matrix a $numbers; printf %040d 0; } >"$work/bad"
	bad "beyond the end: $numbers" 'beyond the end|no matrix'
done
# Cut anywhere before the data, and once within them.
cut_files() {
	local at status
	for ((at = 0; at < header; at += 7)); do
		head -c $at "$model" >"$work/bad"
		status=0
		"$run" "$work/bad" bytes >/dev/null 2>"$work/err" || status=$?
		[ $status = 1 ] && [ "$(wc -l <"$work/err")" = 1 ] || return 1
	done
}
check 'cut anywhere: one line' cut_files
head -c $((data_at + 2999999)) "$model" >"$work/bad"
refused 'cut within a matrix' 'bytes reaches beyond the end' "$run" "$work/bad" bytes

# --- The manual page ---

page=$dest$prefix/share/man/man3/colink_prefetch.3
check 'each function has its page' sh -c "cd '$(dirname "$page")' &&
	ls $(printf '%s.3 ' $names) >/dev/null"
if command -v groff >/dev/null; then
	check 'it is set without a warning' \
		[ -z "$(groff -man -z -ww -Tutf8 "$page" 2>&1)" ]
else
	skip 'it is set without a warning' 'no groff here'
fi
check 'it has each function, flag and field' sh -c "
	for word in $(grep -oE 'colink_[a-z_]+\(|COLINK_[A-Z_]+\b|\b[a-z_]+_bytes\b|\bios\b' \
		"$include/colink/prefetch.h" | tr -d '(' | grep -v COLINK_PREFETCH_H | sort -u |
		tr '\n' ' '); do
		grep -q -- \"\$word\" '$page' || { echo \"# \$word\"; exit 1; }
	done"

# --- And away ---

check 'make uninstall' make_it uninstall
check 'nothing is left' [ -z "$(find "$dest" ! -type d)" ]
finish
