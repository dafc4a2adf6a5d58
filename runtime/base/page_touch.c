// SPDX-License-Identifier: GPL-2.0-only
#include "base/page_touch.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users; /* under the lock */
static struct sigaction before;

/*
 * Where the thread's touch goes on when it fails; NULL: it touches nothing. Volatile, as the
 * pages are: the handler has to find it set for as long as they are touched.
 */
static _Thread_local sigjmp_buf *volatile failed;

static void bus_error(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (failed)
		siglongjmp(*failed, 1);
	/* What did this does it again, and then it is for who was there before. */
	sigaction(SIGBUS, &before, NULL);
	if (info->si_code <= 0)
		raise(signal);
}

int page_touch_begin(struct error *err)
{
	/* Not deferred: it is left by a jump, which leaves the mask of signals as it is. */
	struct sigaction action = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (users == 0 && sigaction(SIGBUS, &action, &before))
		ret = error_set(err, -errno, "cannot handle SIGBUS: %s", strerror(errno));
	else
		users++;
	pthread_mutex_unlock(&lock);
	return ret;
}

void page_touch_end(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0)
		sigaction(SIGBUS, &before, NULL);
	pthread_mutex_unlock(&lock);
}

/* Apart from page_touch(), whose variables a jump may lose. */
static void touch(const char *begin, const char *end, size_t page)
{
	for (; begin < end; begin += page)
		*(const volatile char *)begin;
}

int page_touch(const char *begin, size_t bytes, size_t page)
{
	size_t before_begin = (uintptr_t)begin & (page - 1);
	sigjmp_buf here;
	bool whole;

	failed = &here;
	whole = sigsetjmp(here, 0) == 0;
	if (whole)
		touch(begin - before_begin, begin + bytes, page);
	failed = NULL;
	return whole ? 0 : -EFAULT;
}
