/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of `colink load` and `unload`: running the program, the fixture, which is
 * a copy of the linked demo model, and what shows that nothing of a loaded model is left.
 */
#ifndef LOAD_TEST_H
#define LOAD_TEST_H

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "colink_test.h"

#define PROGRAM "/bin/colink"
#define STATE "/tmp/colink-state"
#define ONE 65536 /* certainty, as the BPF program has it */
#define LAYERS 6
#define SLOTS 2048
#define STRIDE 1024
#define SLOTS_PER_PAGE (PAGE / STRIDE)

/* What a command printed, and how it ended. */
struct output {
	int status;
	char out[8192];
	char err[1024];
};

static inline void read_all(int fd, char *text, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have + 1 < size && (n = read(fd, text + have, size - 1 - have)) > 0)
		have += n;
	text[have] = '\0';
	close(fd);
}

/* `prepare` runs in the child before the program does. */
static inline pid_t start(const char *const *args, void (*prepare)(void), int out, int err)
{
	const char *argv[12] = { PROGRAM };
	pid_t pid = fork();
	int i;

	need(pid >= 0, "fork");
	if (pid)
		return pid;
	for (i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	if (prepare)
		prepare();
	execv(PROGRAM, (char *const *)argv);
	_exit(127);
}

static inline int ended(pid_t pid)
{
	int status;

	need(waitpid(pid, &status, 0) == pid, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void run_as(struct output *output, void (*prepare)(void), const char *const *args)
{
	int out[2], err[2];
	pid_t pid;

	need(!pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC), "pipe");
	pid = start(args, prepare, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	/* Ends when nobody has the pipes open any more, so not if the holder does. */
	read_all(out[0], output->out, sizeof(output->out));
	read_all(err[0], output->err, sizeof(output->err));
	output->status = ended(pid);
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define run(output, ...) run_as(output, NULL, ARGS(__VA_ARGS__))

/* The first number behind a key; -1 when the key is not there. */
static inline double number(const struct output *output, const char *key)
{
	char quoted[64];
	const char *found;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	found = strstr(output->out, quoted);
	return found ? strtod(found + strlen(quoted), NULL) : -1;
}

/* Exit status 1, one line on stderr with the text in it, nothing on stdout. */
static inline bool refused(const struct output *output, const char *text)
{
	const char *end = strchr(output->err, '\n');
	bool good = output->status == 1 && !output->out[0] && end && !end[1] &&
		    strstr(output->err, text);

	if (!good)
		ksft_print_msg("status %d, expected 1 and: %s; got: %s%s\n", output->status, text,
			       output->err, output->out);
	return good;
}

FIXTURE(load) {
	struct test_file file; /* the model */
	__u8 *vector;
	size_t bundles[LAYERS]; /* offsets */
	float link[LAYERS][SLOTS];
	struct output output;
};

/*
 * Where a tensor's data begins. In the table of a GGUF file an entry is: length and text
 * of the name, number of dimensions, dimensions, type, offset; data begin behind it.
 */
static inline __u64 tensor(const __u8 *map, size_t bytes, const char *name)
{
	__u64 length = strlen(name), offset;
	__u8 pattern[64];
	const __u8 *found;
	__u32 dims;

	memcpy(pattern, &length, 8);
	memcpy(pattern + 8, name, length);
	found = memmem(map, bytes, pattern, 8 + length);
	need(found, name);
	memcpy(&dims, found + 8 + length, 4);
	memcpy(&offset, found + 8 + length + 4 + 8 * dims + 4, 8);
	if (!strcmp(name, "colink.checksums"))
		return (found + 8 + length + 4 + 8 * dims + 12 - map + 16383) / 16384 * 16384;
	return tensor(map, bytes, "colink.checksums") + offset;
}

static inline void copy_model(const char *from, const char *to)
{
	static char block[1 << 20];
	int in = open(from, O_RDONLY), out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	need(in >= 0 && out >= 0, to);
	while ((n = read(in, block, sizeof(block))) > 0)
		need(write(out, block, n) == n, to);
	need(!fsync(out), to);
	close(in);
	close(out);
}

static inline void model_open(struct test_file *file)
{
	struct stat status;

	file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
	need(file->fd >= 0 && !fstat(file->fd, &status), file->path);
	file->bytes = status.st_size;
	file->pages = (file->bytes + PAGE - 1) / PAGE;
	file->map = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, file->fd, 0);
	need(file->map != MAP_FAILED, "mmap");
	/* A read must not bring in its neighbours. */
	need(!posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
}

static inline size_t entries(const char *directory)
{
	const struct dirent *entry;
	DIR *open_directory = opendir(directory);
	size_t n = 0;

	while (open_directory && (entry = readdir(open_directory)))
		n += entry->d_name[0] != '.';
	if (open_directory)
		closedir(open_directory);
	return n;
}

static inline size_t regions(void)
{
	FILE *file = fopen("/sys/kernel/debug/colink/regions", "r");
	size_t n = 0;
	int c;

	need(file, "/sys/kernel/debug/colink/regions");
	while ((c = fgetc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

/* No region, no state, and no program: that would hold the module. */
static inline bool nothing_left(void)
{
	char module[128];
	int tries;

	if (regions() || entries(STATE)) {
		ksft_print_msg("%zu regions, %zu state files are left\n", regions(),
			       entries(STATE));
		return false;
	}
	/* Programs that were detached are freed in a moment. */
	for (tries = 0; tries < 100; tries++) {
		if (!system("rmmod colink 2>/dev/null")) {
			snprintf(module, sizeof(module), "insmod %s", getenv("COLINK_MODULE"));
			need(!system(module), module);
			return true;
		}
		usleep(20000);
	}
	ksft_print_msg("the module is still in use\n");
	return false;
}

FIXTURE_SETUP(load)
{
	char name[64];
	int i;

	if (access(PROGRAM, X_OK))
		SKIP(exit(SKIPPED), "no " PROGRAM " on this machine");
	if (access("/sys/kernel/btf/colink", F_OK))
		SKIP(exit(SKIPPED), "the module has no BTF: programs cannot call it");
	setenv("COLINK_STATE", STATE, 1);
	snprintf(self->file.path, sizeof(self->file.path), "%s/model.gguf", disk());
	snprintf(name, sizeof(name), "%s/linked.gguf", disk());
	copy_model(name, self->file.path);
	model_open(&self->file);
	for (i = 0; i < LAYERS; i++) {
		snprintf(name, sizeof(name), "blk.%d.colink.bundles", i);
		self->bundles[i] = tensor(self->file.map, self->file.bytes, name);
		snprintf(name, sizeof(name), "blk.%d.colink.link", i);
		memcpy(self->link[i],
		       self->file.map + tensor(self->file.map, self->file.bytes, name),
		       sizeof(self->link[i]));
	}
	evict(&self->file);
	self->vector = malloc(self->file.pages);
}

FIXTURE_TEARDOWN(load)
{
	run(&self->output, "unload");
	remove_file(&self->file);
	free(self->vector);
}

#endif /* LOAD_TEST_H */
