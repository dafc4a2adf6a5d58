/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line that tells a user what failed, on which file, where, and what to do.
 *
 * Below cli/ nothing prints or exits. A function that can fail returns 0 or a
 * negative errno, and, where a person needs more than the errno, takes a
 * `struct error *` as its last argument and writes the message at the place
 * where the facts are known. Callers pass it on untouched.
 */
#ifndef COLINK_BASE_ERROR_H
#define COLINK_BASE_ERROR_H

#define ERROR_MESSAGE_SIZE 512

struct error {
	int code; /* negative errno; 0 when no error was set */
	char message[ERROR_MESSAGE_SIZE]; /* one line, no trailing newline */
};

/*
 * Write the message (printf style) and return `code`, so that a failing
 * function ends with `return error_set(err, -EINVAL, "...", ...)`. A message
 * that does not fit is cut; control characters become '?', since a message may
 * quote hostile input and has to stay one line. `err` may be NULL.
 */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* error_set(err, -ENOMEM, "out of memory ...") with what the memory was for. */
int error_no_memory(struct error *err, const char *what_for);

#endif
