// SPDX-License-Identifier: GPL-2.0-only
#include "infer/threshold.h"

#include <math.h>
#include <stdlib.h>

/* Below, Phi and phi get lost in f64. */
#define LEAST_Z (-37.0)
/* Of an interval 38 sd long: leaves less than 1e-13 sd. */
#define HALVINGS 50

double expected_relu(double score, double sd)
{
	double z = score / sd;
	double density = exp(-z * z / 2) / sqrt(2 * M_PI);
	double share = erfc(-z / M_SQRT2) / 2;

	return fmax(score * share + sd * density, 0);
}

double score_expecting(double value, double sd)
{
	/* From score 0 on, score <= E[relu] < score + sd / 2. */
	double low = value > sd ? value - sd : LEAST_Z * sd, high = value;

	for (int i = 0; i < HALVINGS; i++) {
		double middle = (low + high) / 2;

		if (expected_relu(middle, sd) < value)
			low = middle;
		else
			high = middle;
	}
	return high;
}

struct contribution_scale contribution_scale(double column_norm, double sd)
{
	return (struct contribution_scale){
		.inverse_sd = (float)(1 / sd),
		.log_gain = (float)log(column_norm * sd),
	};
}

/* Bins of log(contribution). */
#define LOWEST (-32)
#define HIGHEST 32
#define BINS_PER_UNIT 256
#define BINS ((HIGHEST - LOWEST) * BINS_PER_UNIT)

/*
 * log g(z) from a table: straight lines between points 1/64 apart, off by at
 * most 3e-5 since log g bends by at most 1. From TABLE_END on, g(z) is z.
 */
#define TABLE_BEGIN (-32)
#define TABLE_END 8
#define POINTS_PER_UNIT 64
#define POINTS ((TABLE_END - TABLE_BEGIN) * POINTS_PER_UNIT)

/* Tokens are dealt out to this many sets of bins, so that threads need no locks. */
#define SETS 16

struct contribution_histogram {
	float log_g[POINTS + 1];
	uint64_t bins[SETS][BINS];
};

int contribution_histogram_create(struct contribution_histogram **result, struct error *err)
{
	struct contribution_histogram *histogram = calloc(1, sizeof(*histogram));

	if (!histogram)
		return error_no_memory(err, "a histogram of contributions");
	for (int i = 0; i <= POINTS; i++)
		histogram->log_g[i] =
			(float)log(expected_relu(TABLE_BEGIN + i / (double)POINTS_PER_UNIT, 1));
	*result = histogram;
	return 0;
}

void contribution_histogram_free(struct contribution_histogram *histogram)
{
	free(histogram);
}

/* The bin of a contribution, or -1 below the lowest. */
static int bin_of(const struct contribution_histogram *histogram, float score,
		  struct contribution_scale scale)
{
	float z = score * scale.inverse_sd, place, value;
	int i;

	if (!(z > TABLE_BEGIN))
		return -1;
	if (z < TABLE_END) {
		place = (z - TABLE_BEGIN) * POINTS_PER_UNIT;
		i = (int)place < POINTS ? (int)place : POINTS - 1;
		value = histogram->log_g[i] +
			(place - (float)i) * (histogram->log_g[i + 1] - histogram->log_g[i]);
	} else {
		value = logf(z);
	}
	value += scale.log_gain;
	if (!(value > LOWEST))
		return -1;
	if (value >= HIGHEST)
		return BINS - 1;
	i = (int)((value - LOWEST) * BINS_PER_UNIT);
	return i < BINS ? i : BINS - 1;
}

struct add_job {
	struct contribution_histogram *histogram;
	const float *scores;
	size_t n_tokens;
	const struct contribution_scale *scales;
	size_t n_neurons;
};

static void add_sets(void *arg, size_t begin, size_t end)
{
	const struct add_job *job = arg;

	for (size_t set = begin; set < end; set++) {
		uint64_t *bins = job->histogram->bins[set];

		for (size_t t = set; t < job->n_tokens; t += SETS) {
			const float *scores = job->scores + t * job->n_neurons;

			for (size_t j = 0; j < job->n_neurons; j++) {
				int bin = bin_of(job->histogram, scores[j], job->scales[j]);

				if (bin >= 0)
					bins[bin]++;
			}
		}
	}
}

void contribution_histogram_add(struct contribution_histogram *histogram, struct thread_pool *pool,
				const float *scores, size_t n_tokens,
				const struct contribution_scale *scales, size_t n_neurons)
{
	struct add_job job = {
		.histogram = histogram,
		.scores = scores,
		.n_tokens = n_tokens,
		.scales = scales,
		.n_neurons = n_neurons,
	};

	thread_pool_run(pool, SETS, 1, add_sets, &job);
}

double contribution_histogram_theta(const struct contribution_histogram *histogram, double count)
{
	double above = 0;

	for (int bin = BINS - 1; bin >= 0; bin--) {
		double here = 0;

		for (int set = 0; set < SETS; set++)
			here += (double)histogram->bins[set][bin];
		if (above + here >= count) {
			/* As if spread evenly over the bin. */
			double part = here > 0 ? (count - above) / here : 0;

			return exp(LOWEST + (bin + 1 - part) / BINS_PER_UNIT);
		}
		above += here;
	}
	return exp(LOWEST);
}
