# SPDX-License-Identifier: GPL-2.0-only
#
# For test scripts: source this, call `check NAME COMMAND ...` for each case, end
# with `finish`. Gives $COLINK, $data (tests/data) and an empty folder $work.

data=$COLINK_TOP/tests/data
work=$(mktemp -d "${TMPDIR:-/tmp}/colink-script-XXXXXX")
trap 'rm -rf "$work"' EXIT

count=0
failures=0

# check NAME COMMAND ...: the case passes when the command does.
check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		failures=$((failures + 1))
	fi
}

# skip NAME REASON: a case that cannot be run here.
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# refused NAME PATTERN COMMAND ...: exit status 1 and exactly one line on stderr, which has
# PATTERN; nothing on stdout.
refused() {
	local name=$1 pattern=$2
	shift 2
	check "$name" refuses "$pattern" "$@"
}

refuses() {
	local pattern=$1 status=0
	shift
	"$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	if [ $status != 1 ] || [ "$(wc -l <"$work/stderr")" != 1 ] || [ -s "$work/stdout" ] ||
	   ! grep -qE -- "$pattern" "$work/stderr"; then
		echo "# status $status, expected 1 and one line with: $pattern"
		sed 's/^/# /' "$work/stderr"
		return 1
	fi
}

finish() {
	echo "1..$count"
	[ $failures = 0 ]
	exit
}
