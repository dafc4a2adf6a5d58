# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts in bash: the parts of a plain GGUF file, written to stdout by printf.

# An integer of so many bytes, little endian.
integer() { # BYTES VALUE
	local bytes= i
	for ((i = 0; i < $1; i++)); do
		bytes+=$(printf '\\x%02x' $(($2 >> 8 * i & 255)))
	done
	printf "$bytes"
}

u32() { integer 4 "$1"; }
u64() { integer 8 "$1"; }
string() {
	u64 ${#1}
	printf %s "$1"
}

# Up to the tensor table.
gguf_header() { # TENSORS VALUES
	printf GGUF
	u32 3
	u64 "$1"
	u64 "$2"
}

gguf_matrix() { # NAME COLUMNS ROWS TYPE OFFSET
	string "$1"
	u32 2
	u64 "$2"
	u64 "$3"
	u32 "$4"
	u64 "$5"
}

# Zeros up to the next multiple of an alignment.
gguf_pad() { # FILE ALIGNMENT
	truncate -s "%$2" "$1"
}
