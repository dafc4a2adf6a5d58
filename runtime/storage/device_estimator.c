// SPDX-License-Identifier: GPL-2.0-only
#include "storage/device_estimator.h"

#include <math.h>

/* Of what is remembered after one more observation: some 50 of them count. */
#define KEEP 0.98
/* What it counts beside them that a and b grow alike. */
#define ALIKE_WEIGHT 0.5
#define MOST_STEP 1.1
/* Where an I/O as such is free, what a share of is counted in. */
#define LEAST_A_US 0.1

void device_estimator_init(struct device_estimator *estimator, struct device_cost cost)
{
	*estimator = (struct device_estimator){
		.cost = cost,
		.unit = { fmax(cost.a_us, LEAST_A_US), cost.b_us_per_mib },
	};
	estimator->ratio = cost.a_us / estimator->unit.a_us;
}

static double within(double value, double least, double most)
{
	return fmin(fmax(value, least), most);
}

/* From `now` towards `aim`, both in units, as far as one observation may. */
static double step(double now, double aim)
{
	now = within(now, 1 / DEVICE_ESTIMATOR_RANGE, DEVICE_ESTIMATOR_RANGE);
	aim = within(aim, now / MOST_STEP, now * MOST_STEP);
	return within(aim, 1 / DEVICE_ESTIMATOR_RANGE, DEVICE_ESTIMATOR_RANGE);
}

/* The mean of a and b in units: how much slower the device is than at first. */
static double size_of(const struct device_estimator *e)
{
	return (e->cost.a_us / e->unit.a_us + e->cost.b_us_per_mib / e->unit.b_us_per_mib) / 2;
}

/*
 * The cost in units that fits best; where one of the two would leave its range, it is at the
 * end of it, and the other one fits best beside that.
 */
static struct device_cost solve(const struct device_estimator *e)
{
	const double least = 1 / DEVICE_ESTIMATOR_RANGE;
	double alike = ALIKE_WEIGHT / (size_of(e) * size_of(e));
	double aa = e->aa + alike, ab = e->ab - alike * e->ratio;
	double bb = e->bb + alike * e->ratio * e->ratio;
	double determinant = aa * bb - ab * ab;
	struct device_cost best = {
		.a_us = (e->a1 * bb - e->b1 * ab) / determinant,
		.b_us_per_mib = (e->b1 * aa - e->a1 * ab) / determinant,
	};

	if (!(best.a_us >= least))
		best = (struct device_cost){ least, (e->b1 - ab * least) / bb };
	else if (best.b_us_per_mib < least)
		best = (struct device_cost){ (e->a1 - ab * least) / aa, least };
	return best;
}

/* Forget a little; more when the device became slower, as old observations weigh more then. */
static void fade(struct device_estimator *e, double size_before)
{
	double slower = size_of(e) / size_before, keep = KEEP / (slower * slower);

	e->aa *= keep;
	e->ab *= keep;
	e->bb *= keep;
	e->a1 *= keep;
	e->b1 *= keep;
}

void device_estimator_observe(struct device_estimator *estimator, uint64_t ios, uint64_t bytes,
			      double us)
{
	struct device_estimator *e = estimator;
	double scale = fmax(us, device_time_us(e->cost, ios, bytes)), size = size_of(e);
	double a = e->unit.a_us * (double)ios / scale, one = us / scale;
	double b = e->unit.b_us_per_mib * (double)bytes / 1048576 / scale;
	struct device_cost best;

	if (!ios || !bytes || !(us > 0) || !isfinite(us))
		return;
	e->aa += a * a;
	e->ab += a * b;
	e->bb += b * b;
	e->a1 += a * one;
	e->b1 += b * one;
	best = solve(e);
	e->cost.a_us = e->unit.a_us * step(e->cost.a_us / e->unit.a_us, best.a_us);
	e->cost.b_us_per_mib = e->unit.b_us_per_mib *
			       step(e->cost.b_us_per_mib / e->unit.b_us_per_mib, best.b_us_per_mib);
	fade(e, size);
	e->observations++;
}
