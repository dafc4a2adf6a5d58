#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# replay_mapped.pl FILE LOG [random]: map FILE and read what the iolog says (replay_log.c), every
# byte once; with MADV_RANDOM if that is wanted. System calls are by their numbers on x86-64, so
# that perl itself is enough. (fio 3.33 replays no log with its engine mmap: it maps as many bytes
# as it knows of such a file, which is none.)
use strict;
use warnings;

my ($mmap, $madvise, $prot_read, $map_shared, $madv_random) = (9, 28, 1, 1, 1);
my ($file, $log, $advice) = @ARGV;

open(my $model, '<', $file) or die "$file: $!\n";
my $bytes = -s $model;
my $map = syscall($mmap, 0, $bytes, $prot_read, $map_shared, fileno($model), 0);
die "$file: cannot be mapped: $!\n" if $map == -1;
die "$file: no advice: $!\n" if defined $advice && syscall($madvise, $map, $bytes, $madv_random) == -1;

open(my $reads, '<', $log) or die "$log: $!\n";
my $sum = 0;
while (<$reads>) {
	my (undef, $what, $offset, $length) = split;
	next if $what ne 'read';
	$sum += unpack('%32L*', unpack("P$length", pack('J', $map + $offset)));
}
print "$sum\n";
