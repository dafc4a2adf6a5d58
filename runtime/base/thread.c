// SPDX-License-Identifier: GPL-2.0-only
#include "base/thread.h"

int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attributes;
	int ret = pthread_attr_init(&attributes);

	if (ret)
		return -ret;
	ret = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	if (ret == 0)
		ret = pthread_create(thread, &attributes, run, arg);
	pthread_attr_destroy(&attributes);
	return -ret;
}
