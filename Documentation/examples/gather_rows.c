/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gather_rows: libcolink on a plain GGUF file, as an engine would use it.
 *
 * Copies random rows of a tensor out of the mapped file, twice, each time from a cold page
 * cache: without and with one call of colink_prefetch() for all rows. Prints the time of
 * both and a checksum of what was copied, which must be the same.
 *
 *	cc -O2 gather_rows.c $(pkg-config --cflags --libs colink) -o gather_rows
 *	./gather_rows model.gguf				which tensors there are
 *	./gather_rows -n 2000 model.gguf blk.0.ffn_down.weight
 *
 * It is C99, and C++ as well.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <colink/prefetch.h>

#define NAME_SIZE 256

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("gather_rows: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* --- GGUF: the tensor table and nothing else --- */

struct reader {
	FILE *file;
	const char *path;
	uint64_t size; /* of the file */
};

/* A matrix in the file: n_rows rows of row_bytes, one after the other. */
struct tensor {
	uint64_t offset;
	uint64_t row_bytes;
	uint64_t n_rows;
};

static void read_bytes(struct reader *reader, void *to, size_t n)
{
	if (n && fread(to, n, 1, reader->file) != 1)
		fail("%s: ends within its tensor table (is it a whole GGUF file?)", reader->path);
}

static uint32_t read_u32(struct reader *reader)
{
	uint8_t b[4];

	read_bytes(reader, b, sizeof(b));
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t read_u64(struct reader *reader)
{
	uint64_t low = read_u32(reader);

	return low | (uint64_t)read_u32(reader) << 32;
}

static void skip_bytes(struct reader *reader, uint64_t n)
{
	if (n > reader->size || fseeko(reader->file, (off_t)n, SEEK_CUR))
		fail("%s: a length of %" PRIu64 " bytes is more than the file has", reader->path,
		     n);
}

/* Cut, where it is longer than what any name is compared with; NUL-terminated. */
static void read_string(struct reader *reader, char text[NAME_SIZE])
{
	uint64_t length = read_u64(reader);
	size_t kept = length < NAME_SIZE ? (size_t)length : NAME_SIZE - 1;

	read_bytes(reader, text, kept);
	text[kept] = '\0';
	skip_bytes(reader, length - kept);
}

/* Bytes of a value of types 0 to 12; 0: a string or an array, which say it themselves. */
static uint64_t value_bytes(struct reader *reader, uint32_t type)
{
	static const uint8_t bytes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

	if (type >= sizeof(bytes))
		fail("%s: a value of unknown type %" PRIu32, reader->path, type);
	return bytes[type];
}

enum { TYPE_U32 = 4, TYPE_STRING = 8, TYPE_ARRAY = 9 };

static void skip_value(struct reader *reader, uint32_t type)
{
	uint64_t n = 1, bytes;

	if (type == TYPE_ARRAY) {
		type = read_u32(reader);
		n = read_u64(reader);
	}
	if (type == TYPE_ARRAY || n > reader->size)
		fail("%s: an array of arrays, or of more values than the file has bytes",
		     reader->path);
	bytes = value_bytes(reader, type);
	if (type != TYPE_STRING)
		skip_bytes(reader, n * bytes);
	else
		while (n--)
			skip_bytes(reader, read_u64(reader));
}

/* Where a type of ggml packs `values` into `bytes`; values 0: not known here. */
struct block {
	uint32_t values, bytes;
};

static struct block block_of(uint32_t type)
{
	static const struct block blocks[] = {
		{ 1, 4 }, { 1, 2 }, { 32, 18 }, { 32, 20 }, { 0, 0 }, { 0, 0 }, /* F32 F16 Q4_0 Q4_1 */
		{ 32, 22 }, { 32, 24 }, { 32, 34 }, { 32, 36 }, /* Q5_0 Q5_1 Q8_0 Q8_1 */
		{ 256, 84 }, { 256, 110 }, { 256, 144 }, { 256, 176 }, { 256, 210 }, /* Q2_K .. Q6_K */
		{ 256, 292 }, /* Q8_K */
	};
	static const struct block other[] = { { 1, 1 }, { 1, 2 }, { 1, 4 }, { 1, 8 }, { 1, 8 } };
	static const struct block none = { 0, 0 }, bf16 = { 1, 2 };

	if (type < sizeof(blocks) / sizeof(blocks[0]))
		return blocks[type];
	if (type >= 24 && type <= 28) /* I8 I16 I32 I64 F64 */
		return other[type - 24];
	return type == 30 ? bf16 : none;
}

/* Reads a tensor's entry; its offset is from the beginning of the data. 1: a matrix. */
static int read_tensor(struct reader *reader, char name[NAME_SIZE], struct tensor *tensor)
{
	uint64_t dims[4] = { 0, 1, 1, 1 };
	uint32_t n_dims, type;
	struct block block;

	read_string(reader, name);
	n_dims = read_u32(reader);
	if (n_dims > 4)
		fail("%s: a tensor of %" PRIu32 " dimensions", reader->path, n_dims);
	for (uint32_t i = 0; i < n_dims; i++)
		dims[i] = read_u64(reader);
	type = read_u32(reader);
	tensor->offset = read_u64(reader);
	block = block_of(type);
	if (n_dims != 2 || block.values == 0 || dims[0] == 0 || dims[1] == 0 ||
	    dims[0] % block.values || dims[0] > reader->size * block.values)
		return 0;
	tensor->row_bytes = dims[0] / block.values * block.bytes;
	tensor->n_rows = dims[1];
	return 1;
}

/* The header up to the tensor table: how many tensors, and how their data are aligned. */
static uint64_t read_header(struct reader *reader, uint32_t *alignment)
{
	uint64_t n_tensors, n_values;
	char text[NAME_SIZE];
	uint32_t version;

	read_bytes(reader, text, 4);
	if (memcmp(text, "GGUF", 4))
		fail("%s: is no GGUF file", reader->path);
	version = read_u32(reader);
	if (version != 2 && version != 3)
		fail("%s: GGUF version %" PRIu32 ", 2 and 3 are known", reader->path, version);
	n_tensors = read_u64(reader);
	n_values = read_u64(reader);
	*alignment = 32;
	while (n_values--) {
		uint32_t type;

		read_string(reader, text);
		type = read_u32(reader);
		if (type == TYPE_U32 && !strcmp(text, "general.alignment"))
			*alignment = read_u32(reader);
		else
			skip_value(reader, type);
	}
	if (*alignment == 0 || *alignment & (*alignment - 1))
		fail("%s: an alignment of %" PRIu32 ", which is no power of two", reader->path,
		     *alignment);
	return n_tensors;
}

/* The matrix of that name; without one, lists all and ends. */
static struct tensor find_tensor(struct reader *reader, const char *wanted)
{
	struct tensor tensor, found = { 0, 0, 0 };
	char name[NAME_SIZE];
	uint32_t alignment;
	uint64_t n = read_header(reader, &alignment), data;

	while (n--) {
		int is_matrix = read_tensor(reader, name, &tensor);

		if (is_matrix && !wanted)
			printf("%s: %" PRIu64 " rows of %" PRIu64 " bytes\n", name, tensor.n_rows,
			       tensor.row_bytes);
		if (wanted && !strcmp(name, wanted) && !is_matrix)
			fail("%s: %s is no matrix of a type that is known here", reader->path, name);
		if (wanted && !strcmp(name, wanted))
			found = tensor;
	}
	if (!wanted)
		exit(0);
	if (!found.n_rows)
		fail("%s: there is no tensor '%s'", reader->path, wanted);
	data = ((uint64_t)ftello(reader->file) + alignment - 1) & ~(uint64_t)(alignment - 1);
	if (data > reader->size || found.offset > reader->size - data ||
	    found.n_rows > (reader->size - data - found.offset) / found.row_bytes)
		fail("%s: %s reaches beyond the end of the file", reader->path, wanted);
	found.offset += data;
	return found;
}

/* --- Gathering --- */

struct gather {
	int fd;
	const char *path;
	uint64_t size;
	struct colink_range *ranges; /* (n), the rows wanted */
	size_t n;
	char *rows; /* (n * row_bytes), where they go */
	int random; /* MADV_RANDOM */
	double call_ms; /* what the last prefetch took, until it returned */
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void choose_rows(struct gather *gather, const struct tensor *tensor, uint64_t seed)
{
	uint64_t state = seed * 2 + 1;

	if (gather->n > SIZE_MAX / sizeof(*gather->ranges) ||
	    gather->n > SIZE_MAX / tensor->row_bytes)
		fail("-n %zu: too many rows", gather->n);
	gather->ranges = (struct colink_range *)malloc(gather->n * sizeof(*gather->ranges));
	gather->rows = (char *)malloc(gather->n * tensor->row_bytes);
	if (!gather->ranges || !gather->rows)
		fail("out of memory for %zu rows", gather->n);
	/* Its pages are there before time is taken. */
	memset(gather->rows, 1, gather->n * tensor->row_bytes);
	for (size_t i = 0; i < gather->n; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		gather->ranges[i].offset = tensor->offset +
			(state >> 20) % tensor->n_rows * tensor->row_bytes;
		gather->ranges[i].bytes = tensor->row_bytes;
	}
}

/* Milliseconds from a cold page cache until all rows are copied, the prefetch included. */
static double gather_rows(struct gather *gather, struct colink_prefetcher *prefetcher,
			  struct colink_prefetch_counts *counts)
{
	char *to = gather->rows, *map;
	double begin;

	posix_fadvise(gather->fd, 0, 0, POSIX_FADV_DONTNEED);
	map = (char *)mmap(NULL, gather->size, PROT_READ, MAP_SHARED, gather->fd, 0);
	if (map == (char *)MAP_FAILED)
		fail("%s: mmap: %s", gather->path, strerror(errno));
	if (gather->random && madvise(map, gather->size, MADV_RANDOM))
		fail("%s: madvise: %s", gather->path, strerror(errno));
	begin = now_ms();
	/* It is advice: an engine goes on without what it does not get. */
	if (prefetcher && colink_prefetch(prefetcher, gather->ranges, gather->n, 0, counts) < 0)
		fprintf(stderr, "gather_rows: %s\n", colink_prefetcher_error(prefetcher));
	gather->call_ms = now_ms() - begin;
	for (size_t i = 0; i < gather->n; i++) {
		memcpy(to, map + gather->ranges[i].offset, gather->ranges[i].bytes);
		to += gather->ranges[i].bytes;
	}
	begin = now_ms() - begin;
	munmap(map, gather->size);
	return begin;
}

/* FNV-1a of what was copied; then nothing of it is left for the next time. */
static uint64_t take_checksum(struct gather *gather, uint64_t row_bytes)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < gather->n * row_bytes; i++) {
		sum = (sum ^ (uint8_t)gather->rows[i]) * UINT64_C(1099511628211);
		gather->rows[i] = 0;
	}
	return sum;
}

static uint32_t backend_of(const char *name)
{
	static const char *const names[] = { "auto", "module", "fadvise", "uring" };

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return i;
	fail("-b %s: auto, module, fadvise or uring", name);
	return 0;
}

static uint64_t number_of(const char *option, const char *text)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		fail("%s %s: not a number", option, text);
	return number;
}

static void usage(void)
{
	fputs("usage: gather_rows [-n ROWS] [-s SEED] [-b auto|module|fadvise|uring] [-g GAP_BYTES]\n"
	      "                   [-r (MADV_RANDOM)] FILE.gguf [TENSOR]\n", stderr);
	exit(2);
}

struct arguments {
	struct colink_prefetcher_options options;
	uint64_t seed, n;
	int random;
	const char *path, *tensor; /* tensor: may be NULL */
};

static void read_arguments(int argc, char **argv, struct arguments *arguments)
{
	int option;

	while ((option = getopt(argc, argv, "n:s:b:g:r")) != -1) {
		if (option == 'n')
			arguments->n = number_of("-n", optarg);
		else if (option == 's')
			arguments->seed = number_of("-s", optarg);
		else if (option == 'b')
			arguments->options.backend = backend_of(optarg);
		else if (option == 'g')
			arguments->options.gap_bytes = number_of("-g", optarg);
		else if (option == 'r')
			arguments->random = 1;
		else
			usage();
		/* 0 stands for the default there. */
		if (option == 'g' && arguments->options.gap_bytes == 0)
			arguments->options.gap_bytes = COLINK_GAP_NONE;
	}
	if (argc - optind < 1 || argc - optind > 2)
		usage();
	if (arguments->n == 0)
		fail("-n 0: nothing to gather");
	arguments->path = argv[optind];
	arguments->tensor = argc - optind == 2 ? argv[optind + 1] : NULL;
}

/* Opens the file and finds the tensor in it. */
static FILE *open_model(const struct arguments *arguments, struct gather *gather,
			struct tensor *tensor)
{
	struct reader reader;
	struct stat status;

	reader.path = arguments->path;
	reader.file = fopen(reader.path, "rb");
	if (!reader.file || fstat(fileno(reader.file), &status))
		fail("%s: %s", reader.path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		fail("%s: not a regular file", reader.path);
	reader.size = (uint64_t)status.st_size;
	*tensor = find_tensor(&reader, arguments->tensor);
	gather->path = reader.path;
	gather->size = reader.size;
	gather->fd = fileno(reader.file);
	return reader.file;
}

int main(int argc, char **argv)
{
	struct colink_prefetch_counts counts;
	struct colink_prefetcher *prefetcher;
	struct arguments arguments;
	char message[512] = "";
	struct gather gather;
	struct tensor tensor;
	uint64_t sums[2];
	double ms[2];
	FILE *file;

	memset(&arguments, 0, sizeof(arguments));
	memset(&gather, 0, sizeof(gather));
	memset(&counts, 0, sizeof(counts));
	arguments.n = 2000;
	arguments.seed = 1;
	arguments.options.size = sizeof(arguments.options);
	arguments.options.message = message;
	arguments.options.message_size = sizeof(message);
	read_arguments(argc, argv, &arguments);

	file = open_model(&arguments, &gather, &tensor);
	gather.n = (size_t)arguments.n;
	gather.random = arguments.random;
	choose_rows(&gather, &tensor, arguments.seed);
	if (colink_prefetcher_open(gather.fd, &arguments.options, &prefetcher) < 0)
		fail("%s", message);

	ms[0] = gather_rows(&gather, NULL, NULL);
	sums[0] = take_checksum(&gather, tensor.row_bytes);
	ms[1] = gather_rows(&gather, prefetcher, &counts);
	sums[1] = take_checksum(&gather, tensor.row_bytes);
	printf("%zu rows of %" PRIu64 " bytes, by %s\n", gather.n, tensor.row_bytes,
	       colink_prefetcher_describe(prefetcher));
	printf("without prefetch %9.2f ms, checksum %016" PRIx64 "\n", ms[0], sums[0]);
	printf("with prefetch    %9.2f ms, checksum %016" PRIx64 "\n", ms[1], sums[1]);
	printf("the call         %9.2f ms, for %" PRIu64 " KiB in %" PRIu64 " pieces, %" PRIu64
	       " KiB of it gaps\n", gather.call_ms, counts.asked_bytes >> 10, counts.ios,
	       counts.gap_bytes >> 10);

	colink_prefetcher_close(prefetcher);
	free(gather.ranges);
	free(gather.rows);
	fclose(file);
	if (sums[0] != sums[1])
		fail("%s: the checksums differ", arguments.path);
	return 0;
}
