// SPDX-License-Identifier: GPL-2.0-only
#include "infer/logits.h"

#include <errno.h>
#include <math.h>

int logits_check(const float *logits, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(logits[i]))
			return error_set(err, -EDOM,
					 "the model computes %g as the logit of token %zu: "
					 "its weights are broken, make the file again",
					 (double)logits[i], i);
	return 0;
}
