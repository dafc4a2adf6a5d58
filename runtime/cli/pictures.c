// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "cli/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

const char *picture_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static uint32_t layer_of(const struct picture_step *step, uint32_t n_layers)
{
	return step->layer == PICTURE_LAYER_MIDDLE ? n_layers / 2 : step->layer;
}

/* Of a layer in the folder; as wide as a model of 100 layers needs, so that names sort. */
static int name_in_folder(const struct picture_step *step, uint32_t layer, char **path,
			  struct error *err)
{
	if (asprintf(path, "%s/layer-%02u.svg", step->folder, layer) < 0)
		return error_no_memory(err, step->folder);
	return 0;
}

int pictures_check(const struct picture_step *step, const struct picture_subject *subject,
		   struct error *err)
{
	uint32_t n_layers = trace_get_shape(subject->trace)->n_layers;
	char *path;
	int ret = 0;

	if (step->file) {
		ret = picture_check(subject, layer_of(step, n_layers), err);
		if (ret == 0)
			ret = output_file_try(step->file, err);
	}
	if (ret < 0 || !step->folder)
		return ret;
	ret = picture_check(subject, 0, err);
	if (ret == 0)
		ret = name_in_folder(step, 0, &path, err);
	if (ret < 0)
		return ret;
	ret = output_file_try(path, err);
	free(path);
	return ret;
}

static int write_folder(const struct picture_step *step, const struct picture_subject *subject,
			struct thread_pool *pool, struct progress *progress, struct error *err)
{
	uint32_t n_layers = subject->placement->n_layers;
	int ret = 0;

	for (uint32_t layer = 0; ret == 0 && layer < n_layers; layer++) {
		char *path;

		progress_report(progress, layer, n_layers);
		ret = name_in_folder(step, layer, &path, err);
		if (ret < 0)
			return ret;
		ret = picture_write(subject, layer, path, pool, err);
		free(path);
	}
	return ret;
}

int pictures_write(const struct picture_step *step, const struct picture_subject *subject,
		   struct thread_pool *pool, struct error *err)
{
	struct progress_bar bar;
	int ret = 0;

	if (!step->file && !step->folder)
		return 0;
	progress_begin(&bar, "draw");
	if (step->file)
		ret = picture_write(subject, layer_of(step, subject->placement->n_layers),
				    step->file, pool, err);
	if (ret == 0 && step->folder)
		ret = write_folder(step, subject, pool, &bar.progress, err);
	progress_end(&bar, ret == 0);
	return ret;
}
