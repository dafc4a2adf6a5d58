/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From scores with a known error to what is worth reading.
 *
 * A neuron whose activation before relu is estimated as s with error sd is
 * expected to contribute
 *   |fc2 column| * E[relu(N(s, sd))] = |fc2 column| * sd * g(s / sd),
 *   g(z) = z Phi(z) + phi(z)
 * It is wanted when that exceeds theta. A histogram of the contributions'
 * logarithms over many tokens, all layers alike, gives the theta for a wanted
 * count; g is monotone, so theta means one threshold on s for each neuron.
 */
#ifndef COLINK_INFER_THRESHOLD_H
#define COLINK_INFER_THRESHOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"

/* E[relu(N(score, sd))]; sd > 0. Relative error below 1e-9 down to score = -37 sd. */
double expected_relu(double score, double sd);

/*
 * The score at which expected_relu(score, sd) is `value`; not below -37 sd, where
 * the expectation is as good as nothing. Infinite when value is.
 */
double score_expecting(double value, double sd);

/* What turns a neuron's scores into contributions. */
struct contribution_scale {
	float inverse_sd; /* 1 / sd */
	float log_gain; /* log(|fc2 column| * sd); -INFINITY for a column of zeros */
};

struct contribution_scale contribution_scale(double column_norm, double sd);

struct contribution_histogram;

int contribution_histogram_create(struct contribution_histogram **histogram, struct error *err);
void contribution_histogram_free(struct contribution_histogram *histogram);

/* scores (n_tokens, n_neurons); scales (n_neurons). The pool's size does not matter. */
void contribution_histogram_add(struct contribution_histogram *histogram, struct thread_pool *pool,
				const float *scores, size_t n_tokens,
				const struct contribution_scale *scales, size_t n_neurons);

/*
 * The theta that `count` of the contributions added exceed, to 0.5 % of theta.
 * Where fewer than `count` are above e^-32, e^-32; 0 or less of them: e^32.
 */
double contribution_histogram_theta(const struct contribution_histogram *histogram, double count);

#endif
