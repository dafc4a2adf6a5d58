# SPDX-License-Identifier: GPL-2.0-only
#
# perl neighbour.pl FILE READS READY GO
#
# In the virtual machine, in a memory cgroup of its own: a program that knows nothing of colink.
# It reads blocks of 4 KiB of a file, anywhere, and adds up what is in them. When it has the file
# in the page cache it makes the file READY and goes on; when there is a file GO, it measures the
# READS that follow, and prints one JSON object: how long they took, what for, and what became
# of its pages. Kernel and program count since then, but for what counts nothing by itself.
# (perl's own modules are not at hand there.)

my ($path, $reads, $ready, $go) = @ARGV;
my $block = 4096;

sub slurp {
	open(my $in, '<', $_[0]) or return '';
	local $/;
	my $text = <$in>;
	return $text // '';
}

# Names in a folder; glob() would need a module.
sub names {
	opendir(my $folder, $_[0]) or return ();
	return readdir $folder;
}

# add COUNTS PREFIX FILE: lines of a name and a number.
sub add {
	my ($counts, $prefix, $file) = @_;
	my $text = slurp($file);
	$counts->{"$prefix$1"} = $2 while $text =~ /^(\w+) (\d+)$/gm;
}

# Nanoseconds on a processor, of all threads: of colink, and of the kernel's own (which have no
# command line).
sub add_cpu {
	my ($counts) = @_;
	for my $task (map { my $of = "/proc/$_/task"; map { "$of/$_" } grep { /^\d/ } names($of) }
		      grep { /^\d/ } names('/proc')) {
		my ($ns) = split ' ', slurp("$task/schedstat");
		my $command = slurp("$task/cmdline");
		$counts->{cpu_kernel_threads} += $ns if $command eq '';
		$counts->{cpu_kswapd} += $ns if slurp("$task/comm") =~ /^kswapd/;
		$counts->{cpu_colink} += $ns if $command =~ /^colink\0bench/;
	}
}

sub snapshot {
	my %counts;
	my ($group) = slurp('/proc/self/cgroup') =~ m{^0::(.*)$}m;
	add(\%counts, 'own_', "/sys/fs/cgroup$group/memory.stat");
	for my $other (grep { /^within/ && "/$_" ne $group } names('/sys/fs/cgroup')) {
		add(\%counts, 'colink_', "/sys/fs/cgroup/$other/memory.stat");
	}
	add(\%counts, '', '/proc/vmstat');
	for (split /\n/, slurp('/proc/diskstats')) {
		my @field = split;
		next if $field[2] !~ /^vd[ab]$/;
		$counts{"$field[2]_reads"} = $field[3];
		$counts{"$field[2]_bytes"} = $field[5] * 512;
	}
	add_cpu(\%counts);
	($counts{user}, $counts{system}) = times;
	($counts{cpu}, $counts{waiting_to_run}) = split ' ', slurp('/proc/self/schedstat');
	($counts{wall}) = split ' ', slurp('/proc/uptime');
	return \%counts;
}

open(my $file, '<', $path) or die "$path: $!";
my $blocks = (-s $path) / $block;
my $sum = 0;

# The next N reads.
sub work {
	for (1 .. $_[0]) {
		sysseek($file, $block * int(rand $blocks), 0);
		sysread($file, my $bytes, $block) == $block or die "$path: $!";
		$sum += unpack('%32L*', $bytes);
	}
}

# Twice, so that the kernel has seen each page used again.
for (1, 2) {
	sysseek($file, 0, 0);
	1 while sysread($file, my $bytes, 65536);
}
srand(1);
open(my $mark, '>', $ready);
work(64) until -e $go;

srand(2);
$sum = 0;
my $before = snapshot();
work($reads);
my $after = snapshot();

my @differences = map {
	sprintf('"%s": %.15g', $_, $after->{$_} - ($before->{$_} // 0))
} grep { $_ ne 'own_file' && $_ ne 'colink_file' } sort keys %$after;
my @levels = map {
	sprintf('"%s": [%d, %d]', $_, $before->{$_} // 0, $after->{$_} // 0)
} qw(own_file colink_file nr_free_pages);
print "{\"reads\": $reads, \"checksum\": $sum,\n\"levels\": {", join(', ', @levels),
	"},\n\"differences\": {", join(",\n", @differences), "}}\n";
