#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The selftests of the module on this kernel, as one of the tests of `make check`.
exec "$COLINK_TOP/tests/vm/twice" 6.12-arm64
