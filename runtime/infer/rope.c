// SPDX-License-Identifier: GPL-2.0-only
#include "infer/rope.h"

#include <math.h>

/* In double: at position 4096 an angle in f32 would be off by up to 2^-12. */
void rope_turns(float *turns, double theta, size_t d_head, size_t first, size_t n_tokens)
{
	for (size_t i = 0; i < d_head; i += 2) {
		double frequency = pow(theta, -(double)i / (double)d_head);

		for (size_t t = 0; t < n_tokens; t++) {
			double angle = (double)(first + t) * frequency;

			turns[t * d_head + i] = (float)cos(angle);
			turns[t * d_head + i + 1] = (float)sin(angle);
		}
	}
}

static void turn(float *head, const float *turns, size_t d_head)
{
	for (size_t i = 0; i < d_head; i += 2) {
		float x = head[i], y = head[i + 1];

		head[i] = x * turns[i] - y * turns[i + 1];
		head[i + 1] = x * turns[i + 1] + y * turns[i];
	}
}

void rope_apply(float *x, const float *turns, size_t n_tokens, size_t n_heads, size_t d_head)
{
	for (size_t t = 0; t < n_tokens; t++)
		for (size_t head = 0; head < n_heads; head++)
			turn(x + (t * n_heads + head) * d_head, turns + t * d_head, d_head);
}
