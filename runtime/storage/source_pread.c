// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads by pread(2) through the page cache, one after the other, on a thread of
 * their own, so that they overlap with computing where io_uring is not to be had.
 *
 * Reads are done in the order in which they were submitted. A waiter is woken only
 * for the read it names, and it names the last one first.
 */
#define _GNU_SOURCE
#include "storage/source_ops.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"

struct reader {
	pthread_t thread;
	pthread_mutex_t lock; /* guards everything below, reads in the list, and source->failure */
	pthread_cond_t work; /* something to read, or stop */
	pthread_cond_t awaited_done; /* `awaited` is done, or a read failed */
	const struct source_read *awaited; /* what source_wait() blocks for, or NULL */
	struct source_read *waiting; /* to be read, in order */
	struct source_read **waiting_end;
	struct source_counts counts;
	struct source_counts finished;
	bool stop;
};

/*
 * One whole read; called without the lock. Returns 0, a negative errno, or 1 when
 * the file ended after `transferred` bytes.
 */
static int read_range(const struct source *source, struct source_read *read,
		      struct source_counts *counts)
{
	while (read->transferred < read->length) {
		uint32_t rest = read->length - read->transferred;
		ssize_t got = pread(source->fd, read->room + read->transferred, rest,
				    (off_t)(read->offset + read->transferred));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		counts->reads++;
		counts->bytes += rest;
		source_started(source, read->offset + read->transferred, rest);
		if (got == 0)
			return 1;
		read->transferred += (uint32_t)got;
	}
	return 0;
}

/* Read the first of the list; called with the lock held, dropped meanwhile. */
static void read_next(struct source *source, struct reader *reader)
{
	struct source_read *read = reader->waiting;
	struct source_counts counts = { 0 };
	int ret;

	reader->waiting = read->next;
	if (!reader->waiting)
		reader->waiting_end = &reader->waiting;
	pthread_mutex_unlock(&reader->lock);
	ret = read_range(source, read, &counts);
	pthread_mutex_lock(&reader->lock);
	reader->counts.reads += counts.reads;
	reader->counts.bytes += counts.bytes;
	if (ret > 0)
		source_fail_early_end(source, read, read->offset + read->transferred);
	else if (ret < 0)
		source_fail(source, read, ret);
	else {
		read->data = read->room;
		read->done = true;
		reader->finished.reads++;
		reader->finished.bytes += read->length;
	}
	if (ret != 0 || read == reader->awaited)
		pthread_cond_signal(&reader->awaited_done);
}

static void *reader_thread(void *arg)
{
	struct source *source = arg;
	struct reader *reader = source->state;

	pthread_mutex_lock(&reader->lock);
	while (!reader->stop) {
		if (reader->waiting && source->failure.code == 0)
			read_next(source, reader);
		else
			pthread_cond_wait(&reader->work, &reader->lock);
	}
	pthread_mutex_unlock(&reader->lock);
	return NULL;
}

static int pread_submit(struct source *source, struct source_read *reads, uint32_t n_reads,
			struct error *err)
{
	struct reader *reader = source->state;
	int ret;

	pthread_mutex_lock(&reader->lock);
	ret = source_failure(source, err);
	if (ret == 0 && n_reads) {
		for (uint32_t i = 0; i < n_reads; i++) {
			*reader->waiting_end = &reads[i];
			reader->waiting_end = &reads[i].next;
		}
		pthread_cond_signal(&reader->work);
	}
	pthread_mutex_unlock(&reader->lock);
	return ret;
}

static int pread_wait(struct source *source, const struct source_read *reads, uint32_t n_reads,
		      struct error *err)
{
	struct reader *reader = source->state;
	int ret;

	pthread_mutex_lock(&reader->lock);
	for (uint32_t i = n_reads; i-- > 0;) {
		reader->awaited = &reads[i];
		while (!reads[i].done && source->failure.code == 0)
			pthread_cond_wait(&reader->awaited_done, &reader->lock);
	}
	reader->awaited = NULL;
	ret = source_failure(source, err);
	pthread_mutex_unlock(&reader->lock);
	return ret;
}

static void pread_get_finished(const struct source *source, uint64_t *reads, uint64_t *bytes)
{
	struct reader *reader = source->state;

	pthread_mutex_lock(&reader->lock);
	*reads = reader->finished.reads;
	*bytes = reader->finished.bytes;
	pthread_mutex_unlock(&reader->lock);
}

static int pread_get_counts(const struct source *source, struct source_counts *counts,
			    struct error *err)
{
	struct reader *reader = source->state;

	(void)err;
	pthread_mutex_lock(&reader->lock);
	*counts = reader->counts;
	pthread_mutex_unlock(&reader->lock);
	return 0;
}

static void free_reader(struct reader *reader)
{
	pthread_cond_destroy(&reader->awaited_done);
	pthread_cond_destroy(&reader->work);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}

/* Signals are for the program's own threads. */
static int start_thread(struct source *source, struct reader *reader)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = thread_start(&reader->thread, reader_thread, source);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static int pread_start(struct source *source, struct error *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int ret;

	if (!reader)
		return error_no_memory(err, "the reading thread");
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->work, NULL);
	pthread_cond_init(&reader->awaited_done, NULL);
	reader->waiting_end = &reader->waiting;
	source->state = reader;
	ret = start_thread(source, reader);
	if (ret < 0) {
		free_reader(reader);
		return error_set(err, ret, "cannot start the reading thread: %s", strerror(-ret));
	}
	snprintf(source->description, sizeof(source->description),
		 "pread through the page cache, on a thread of its own");
	return 0;
}

/* The read under way is finished; the others are dropped. */
static void pread_stop(struct source *source)
{
	struct reader *reader = source->state;

	pthread_mutex_lock(&reader->lock);
	reader->stop = true;
	pthread_cond_signal(&reader->work);
	pthread_mutex_unlock(&reader->lock);
	pthread_join(reader->thread, NULL);
	free_reader(reader);
}

const struct source_ops source_pread_ops = {
	.name = "pread",
	.start = pread_start,
	.stop = pread_stop,
	.submit = pread_submit,
	.wait = pread_wait,
	.get_finished = pread_get_finished,
	.get_counts = pread_get_counts,
};
