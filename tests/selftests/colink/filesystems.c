// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same on each file system: exactly the pages asked for, right content, nothing read
 * twice, collapse, end of file, truncation, deletion, drop. Those that a machine has not
 * mounted below $COLINK_MOUNTS are skipped.
 *
 * Where a file is compressed, its file system reads and keeps whole units of compression;
 * then all pages asked for are there, but others may be too.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>

#include <linux/fs.h>

#include "colink_test.h"

/* The last page is in the file by 10 bytes. */
#define PAGES 512
#define LAST (PAGES - 1)
#define BYTES (LAST * PAGE + 10)
#define ROUNDS 50

FIXTURE(filesystems) {
	struct rig rig;
	__u8 want[PAGES];
};

FIXTURE_VARIANT(filesystems) {
	const char *mount;	/* below $COLINK_MOUNTS */
	const char *file;	/* that a read-only file system has; NULL: one is made */
	bool compressed;
	bool folios;		/* of several pages, in every kernel that is tested */
};

FIXTURE_VARIANT_ADD(filesystems, ext4) { .mount = "disk" };
FIXTURE_VARIANT_ADD(filesystems, f2fs) { .mount = "f2fs" };
FIXTURE_VARIANT_ADD(filesystems, xfs) { .mount = "xfs", .folios = true };
FIXTURE_VARIANT_ADD(filesystems, btrfs) { .mount = "btrfs" };
FIXTURE_VARIANT_ADD(filesystems, btrfs_compressed) { .mount = "btrfs", .compressed = true };
FIXTURE_VARIANT_ADD(filesystems, erofs) { .mount = "erofs", .file = "plain" };
FIXTURE_VARIANT_ADD(filesystems, erofs_compressed)
{
	.mount = "erofs", .file = "packed", .compressed = true,
};

/* New files of this directory are compressed. */
static void make_compressed_directory(const char *path)
{
	int flags = FS_COMPR_FL, fd;

	need(!mkdir(path, 0755) || errno == EEXIST, path);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	need(fd >= 0 && !ioctl(fd, FS_IOC_SETFLAGS, &flags), "FS_IOC_SETFLAGS");
	close(fd);
}

FIXTURE_SETUP(filesystems)
{
	struct test_file *file = &self->rig.file;
	char directory[128];

	if (!mounted_path(variant->mount, directory, sizeof(directory)))
		SKIP(exit(SKIPPED), "%s is not mounted", directory);
	if (variant->file) {
		snprintf(file->path, sizeof(file->path), "%s/%s", directory, variant->file);
		file->fd = open(file->path, O_RDONLY);
		need(file->fd >= 0, file->path);
		map_file(file, BYTES);
	} else {
		if (variant->compressed) {
			strcat(directory, "/compressed");
			make_compressed_directory(directory);
		}
		make_file(file, directory, BYTES);
	}
	self->rig.device = open_device();
	self->rig.region = register_file(self->rig.device, file->fd);
	need(self->rig.region > 0, "COLINK_REGISTER");
}

FIXTURE_TEARDOWN(filesystems)
{
	rig_close(&self->rig);
}

/* Is every page wanted resident and, but for compressed files, no other? */
static bool as_wanted(const struct test_file *file, const __u8 *want, bool compressed)
{
	__u8 have[PAGES];
	size_t i;

	resident(file, have);
	for (i = 0; i < PAGES; i++) {
		if (have[i] < want[i] || (have[i] > want[i] && !compressed)) {
			ksft_print_msg("page %zu is %sresident\n", i, have[i] ? "" : "not ");
			return false;
		}
	}
	return true;
}

/* Have the pages wanted their content, to the file's last byte and no further? */
static bool content_right(const struct test_file *file, const __u8 *want)
{
	const __u8 *map = file->map;
	size_t i, end;

	for (i = 0; i < PAGES; i++) {
		end = i == LAST ? BYTES - 1 : i * PAGE + PAGE - 1;
		if (want[i] && (map[i * PAGE] != content(i) || map[end] != content(i)))
			return false;
		if (want[i] && i == LAST && map[BYTES])
			return false;
	}
	return true;
}

/* Five ranges, the last beyond the end of the file but for one page. */
static struct colink_prefetch ask_scattered(int region, __u8 *want)
{
	static const struct { size_t first, n; } ranges[] = {
		{ 3, 1 }, { 10, 16 }, { 100, 64 }, { 300, 2 }, { LAST, 1 },
	};
	static struct colink_extent extents[5];
	size_t i;

	for (i = 0; i < 5; i++) {
		extents[i] = pages_extent(ranges[i].first, ranges[i].n);
		memset(&want[ranges[i].first], 1, ranges[i].n);
	}
	extents[4].count = 100 * PAGE;
	return prefetch_args(region, extents, 5);
}

/* The disk reads the file system's own blocks too: where files are, checksums. */
TEST_F(filesystems, exactly)
{
	struct colink_prefetch args = ask_scattered(self->rig.region, self->want);
	struct disk_reads before = disk_reads(self->rig.file.fd), after;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	after = disk_reads(self->rig.file.fd);
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
	EXPECT_EQ(5, args.result.extents);
	EXPECT_EQ(0, args.result.pages_resident);
	EXPECT_EQ(84, args.result.pages_issued);
	EXPECT_EQ(0, args.result.pages_given_up);
	EXPECT_EQ(5, args.result.ios);
	if (!variant->compressed) {
		/* The last 10 bytes of an erofs file may lie beside its inode, already read. */
		EXPECT_LE(83 * PAGE, after.bytes - before.bytes);
		EXPECT_GE((84 + 32) * PAGE, after.bytes - before.bytes);
	}
}

TEST_F(filesystems, second_reads_nothing)
{
	struct colink_prefetch args = ask_scattered(self->rig.region, self->want);
	struct disk_reads before;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	before = disk_reads(self->rig.file.fd);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(84, args.result.pages_resident);
	EXPECT_EQ(0, args.result.pages_issued);
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
	EXPECT_EQ(0, disk_reads(self->rig.file.fd).ios - before.ios);
}

TEST_F(filesystems, without_waiting)
{
	struct colink_prefetch args = ask_scattered(self->rig.region, self->want);
	struct pollfd wait = { .fd = eventfd(0, 0), .events = POLLIN };

	args.flags = 0;
	args.eventfd = wait.fd;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	ASSERT_EQ(1, poll(&wait, 1, 20000));
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
	close(wait.fd);
}

/* For each page of a mapped file: 's' for one alone, 'h' and 't' for a folio's head and tails. */
static void folios_of(const struct test_file *file, size_t first, size_t n, char *kinds)
{
	const __u64 head = 1 << 15, tail = 1 << 16; /* KPF_COMPOUND_HEAD, _TAIL */
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int flags = open("/proc/kpageflags", O_RDONLY);
	__u64 entry, bits;
	size_t i;

	need(pagemap >= 0 && flags >= 0, "pagemap, kpageflags");
	for (i = 0; i < n; i++) {
		const volatile __u8 *page = &file->map[(first + i) * PAGE];

		(void)*page;
		need(pread(pagemap, &entry, 8, (uintptr_t)page / PAGE * 8) == 8, "pagemap");
		need(pread(flags, &bits, 8, (entry & ((1ULL << 55) - 1)) * 8) == 8, "kpageflags");
		kinds[i] = bits & head ? 'h' : bits & tail ? 't' : 's';
	}
	kinds[n] = '\0';
	close(pagemap);
	close(flags);
}

/* Before Linux 6.9 the module makes none. */
static bool folios_are_made(void)
{
	struct utsname kernel;
	int major, minor;

	need(!uname(&kernel), "uname");
	need(sscanf(kernel.release, "%d.%d", &major, &minor) == 2, kernel.release);
	return major > 6 || (major == 6 && minor >= 9);
}

static size_t count_folios(const char *kinds)
{
	size_t n = 0;

	for (; *kinds; kinds++)
		n += *kinds != 't';
	return n;
}

/* As large as they fit into what was asked for, by their place in the file; of 64 KiB at most. */
TEST_F(filesystems, folios)
{
	static const struct { size_t first, n; const char *kinds; } asked[] = {
		{ 0, 20, "httttttttttttttthttt" },
		{ 21, 10, "shthttthts" },
		{ 33, 1, "s" },
		{ 64, 40, "httttttttttttttthttttttttttttttthttttttt" },
	};
	struct colink_prefetch args;
	struct colink_extent extent;
	char kinds[PAGES];
	size_t i;

	if (!variant->folios || !folios_are_made())
		SKIP(return, "pages only");
	if (access("/proc/kpageflags", F_OK))
		SKIP(return, "this kernel does not show folios");
	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		extent = pages_extent(asked[i].first, asked[i].n);
		args = prefetch_args(self->rig.region, &extent, 1);
		ASSERT_EQ(0, prefetch(self->rig.device, &args));
		memset(&self->want[asked[i].first], 1, asked[i].n);
		folios_of(&self->rig.file, asked[i].first, asked[i].n, kinds);
		EXPECT_STREQ(asked[i].kinds, kinds);
	}
	/* A speculative request is issued piece by piece. From page 272 on, eleven of 16 pages. */
	extent = pages_extent(257, 200);
	args = prefetch_args(self->rig.region, &extent, 1);
	args.flags |= COLINK_SPECULATIVE;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	memset(&self->want[257], 1, 200);
	folios_of(&self->rig.file, 257, 200, kinds);
	EXPECT_EQ(4 + 11 + 2, count_folios(kinds));
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, false));
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
}

struct reader {
	const char *path;
	volatile bool stop;
};

/* Bring in a page here and there, one at a time. */
static void *read_here_and_there(void *data)
{
	struct reader *reader = data;
	int fd = open(reader->path, O_RDONLY);
	__u64 state = 7654321;
	char buffer[16];

	need(fd >= 0 && !posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), reader->path);
	while (!reader->stop)
		need(pread(fd, buffer, 16, random_next(&state) % LAST * PAGE) == 16, "pread");
	close(fd);
	return NULL;
}

/* Pages that others bring in after the plan was made: what comes in around them is right. */
TEST_F(filesystems, while_others_read)
{
	struct reader reader = { .path = self->rig.file.path };
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args;
	pthread_t thread;
	int i;

	memset(self->want, 1, PAGES);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_here_and_there, &reader));
	for (i = 0; i < ROUNDS; i++) {
		madvise(self->rig.file.map, self->rig.file.bytes, MADV_DONTNEED);
		need(!posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
		args = prefetch_args(self->rig.region, &all, 1);
		ASSERT_EQ(0, prefetch(self->rig.device, &args));
		ASSERT_EQ(PAGES, args.result.pages_issued + args.result.pages_resident);
		ASSERT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));
		ASSERT_TRUE(content_right(&self->rig.file, self->want));
	}
	reader.stop = true;
	pthread_join(thread, NULL);
}

TEST_F(filesystems, collapse)
{
	struct colink_extent extents[] = { pages_extent(10, 1), pages_extent(14, 1) };
	struct colink_extent all = pages_extent(10, 5);
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 2);

	args.gap_bytes = 3 * PAGE - 1;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(2, args.result.ios);
	self->want[10] = 1;
	self->want[14] = 1;
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));

	evict(&self->rig.file);
	args.gap_bytes = 3 * PAGE;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, args.result.ios);
	EXPECT_EQ(3 * PAGE, args.result.gap_bytes);
	memset(&self->want[10], 1, 5);
	/* The gap need not have been waited for; asked for now, it is, and is already there. */
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(5, args.result.pages_resident);
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
}

/*
 * Ordinary reads leave large folios where a file system has them. Whatever page of one a
 * request begins with, what is missing behind it comes in. How far readahead goes is its
 * own affair, so that pages before may be resident.
 */
TEST_F(filesystems, behind_what_was_read)
{
	static char buffer[4 * PAGE];
	struct colink_prefetch args;
	struct colink_extent extent;
	size_t first, i;

	for (first = 175; first-- > 90;) {
		evict(&self->rig.file);
		for (i = 0; i < 96; i += 4)
			ASSERT_EQ(4 * PAGE, pread(self->rig.file.fd, buffer, 4 * PAGE, i * PAGE));
		extent = pages_extent(first, PAGES - first);
		args = prefetch_args(self->rig.region, &extent, 1);
		ASSERT_EQ(0, prefetch(self->rig.device, &args));
		ASSERT_EQ(PAGES - first, args.result.pages_resident + args.result.pages_issued);
		memset(&self->want[first], 1, PAGES - first);
		ASSERT_TRUE(as_wanted(&self->rig.file, self->want, true));
	}
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
}

static __u64 drop(const struct rig *rig, const struct colink_extent *extent)
{
	struct colink_drop args = {
		.size = sizeof(args),
		.region = rig->region,
		.n_extents = 1,
		.extents = (unsigned long)extent,
	};

	need(!ioctl(rig->device, COLINK_DROP, &args), "COLINK_DROP");
	return args.pages_dropped;
}

/* A folio of several pages goes when all of it may: sixteen that are aligned are whole ones. */
TEST_F(filesystems, drop)
{
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_extent some = bytes_extent(48 * PAGE, 16 * PAGE);
	struct colink_prefetch args = prefetch_args(self->rig.region, &all, 1);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(16, drop(&self->rig, &some));
	memset(self->want, 1, 48);
	memset(&self->want[64], 1, PAGES - 64);
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, false));
	EXPECT_EQ(PAGES - 16, drop(&self->rig, &all));
	EXPECT_EQ(0, count_resident(&self->rig.file));
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, args.result.pages_issued);
	memset(self->want, 1, PAGES);
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
}

/* What is left of a folio of which a part is cut off is right. */
TEST_F(filesystems, cut_short)
{
	struct colink_extent pair = pages_extent(22, 2), sixteen = pages_extent(0, 16);
	struct colink_prefetch args = prefetch_args(self->rig.region, &pair, 1);

	if (variant->file)
		SKIP(return, "read-only");
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, 23 * PAGE));
	EXPECT_EQ(content(22), self->rig.file.map[22 * PAGE]);
	args = prefetch_args(self->rig.region, &sixteen, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, 5 * PAGE));
	memset(self->want, 1, 5);
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
	if (!variant->compressed)
		EXPECT_EQ(5, count_resident(&self->rig.file));
}

static void *truncate_again_and_again(void *data)
{
	const struct rig *rig = data;
	__u64 state = 1234567;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		need(!ftruncate(rig->file.fd, random_next(&state) % BYTES), "ftruncate");
		sched_yield();
		need(!ftruncate(rig->file.fd, BYTES), "ftruncate");
	}
	return NULL;
}

TEST_F(filesystems, truncated)
{
	struct colink_extent extents[PAGES / 2], all = pages_extent(0, 2 * PAGES);
	struct colink_prefetch args;
	pthread_t thread;
	__u8 zeros[PAGE];
	int i;

	if (variant->file)
		SKIP(return, "read-only");
	memset(zeros, 0, PAGE);
	for (i = 0; i < PAGES / 2; i++)
		extents[i] = pages_extent(2 * i, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, truncate_again_and_again, &self->rig));
	for (i = 0; i < ROUNDS; i++) {
		args = prefetch_args(self->rig.region, extents, PAGES / 2);
		args.flags = i % 2 ? COLINK_WAIT : 0;
		args.gap_bytes = i % 3 ? 0 : PAGE;
		EXPECT_EQ(0, prefetch(self->rig.device, &args));
	}
	pthread_join(thread, NULL);

	/* Shorter: no page beyond the new end. Longer again: zeros, nothing that was there. */
	evict(&self->rig.file);
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, 10 * PAGE));
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(10, args.result.pages_issued);
	EXPECT_EQ(10, count_resident(&self->rig.file));
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, BYTES));
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, count_resident(&self->rig.file));
	for (i = 10; i < PAGES; i++)
		EXPECT_EQ(0, memcmp(zeros, &self->rig.file.map[i * PAGE], PAGE));
}

/* Deleted before it is prefetched, and while it is. */
TEST_F(filesystems, deleted)
{
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, &all, 1);
	struct pollfd wait = { .fd = eventfd(0, 0), .events = POLLIN };

	if (variant->file)
		SKIP(return, "read-only");
	args.flags = 0;
	args.eventfd = wait.fd;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	ASSERT_EQ(0, unlink(self->rig.file.path));
	ASSERT_EQ(1, poll(&wait, 1, 20000));
	memset(self->want, 1, PAGES);
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));
	EXPECT_TRUE(content_right(&self->rig.file, self->want));
	close(wait.fd);

	evict(&self->rig.file);
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, args.result.pages_issued);
	EXPECT_TRUE(as_wanted(&self->rig.file, self->want, variant->compressed));
	EXPECT_TRUE(content_right(&self->rig.file, self->want));

	/* Only the region holds it now. */
	munmap(self->rig.file.map, BYTES);
	close(self->rig.file.fd);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, args.result.pages_resident);
	EXPECT_EQ(0, ioctl(self->rig.device, COLINK_UNREGISTER, self->rig.region));
}

TEST_HARNESS_MAIN
