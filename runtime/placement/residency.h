/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a token has to read when part of a layer is in DRAM: without a cache, since an order
 * is searched before there is a file to read, by what all good policies have in common.
 */
#ifndef COLINK_PLACEMENT_RESIDENCY_H
#define COLINK_PLACEMENT_RESIDENCY_H

#include "base/error.h"
#include "placement/activity.h"

/*
 * The fired neurons that a cache of `cache_ratio` (0 to 1) of the layer's bundles would not
 * have. It is taken to hold the neurons that fired lately and those that fire often: the
 * ones with the highest sums of both, weighted as by the cache's own forecast
 * (storage/cache_forecast.c), as many as fit in the mean. Tokens are in the order of the text.
 *
 * The result has the shape of `activity`; the caller calls activity_free(). Fails with -ENOMEM.
 */
int residency_missed(const struct activity *activity, double cache_ratio, struct activity *missed,
		     struct error *err);

#endif
