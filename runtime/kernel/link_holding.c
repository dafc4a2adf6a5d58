// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "kernel/link_holding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "kernel/kernel_device.h"
#include "kernel/link_hints.h"
#include "kernel/link_policy.h"

struct link_holding {
	char directory[PATH_MAX];
	struct link_state state;
	int claim; /* the state file */
	int device;
	struct link_loader *loader;
};

static int register_file(struct link_holding *holding, const struct model_file *file,
			 const struct link_hints *hints, struct link_file *key, struct error *err)
{
	struct colink_layer *layers = link_hints_geometry(hints);
	struct colink_register args = {
		.fd = gguf_descriptor(file->gguf),
		.n_layers = hints->n_layers,
		.layers = (uintptr_t)layers,
		.gap_bytes = holding->state.gap_bytes,
	};
	int ret;

	if (!layers)
		return error_no_memory(err, gguf_path(file->gguf));
	ret = kernel_device_register_args(holding->device, gguf_path(file->gguf), &args,
					  &holding->state.region, err);
	free(layers);
	*key = (struct link_file){ .inode = args.inode, .device = args.device };
	return ret;
}

static int load(struct link_holding *holding, const struct model_file *file,
		const struct link_policy *policy, const struct link_hints *hints,
		struct error *err)
{
	const struct link_policy full =
		link_policy_defaults(policy, hints, holding->state.gap_bytes);
	struct link_file key;
	int ret;

	holding->state.n_layers = hints->n_layers;
	holding->state.n_hot_runs = hints->n_hot_runs;
	ret = register_file(holding, file, hints, &key, err);
	if (ret == 0)
		ret = link_loader_open(hints, &full, gguf_path(file->gguf), &holding->loader, err);
	if (ret == 0)
		ret = link_loader_map_ids(holding->loader, &holding->state.maps, err);
	if (ret == 0)
		ret = link_loader_attach(holding->loader, &key, holding->state.region, err);
	return ret;
}

/* The file's name from the root on, which is kept as JSON. */
static int set_names(struct link_holding *holding, const struct model_file *file,
		     const char *directory, struct error *err)
{
	const char *path = gguf_path(file->gguf);
	char *model = holding->state.model;
	struct stat status;

	if (fstat(gguf_descriptor(file->gguf), &status) || !realpath(path, model) ||
	    !realpath(directory, holding->directory))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (utf8_valid_prefix(model, strlen(model)) != strlen(model))
		return error_set(err, -EINVAL, "%s: its path is not UTF-8", path);
	link_state_name(&status, holding->state.name);
	return 0;
}

int link_holding_open(const struct model_file *file, const char *directory, uint64_t gap_bytes,
		      const struct link_policy *policy, struct link_holding **result,
		      struct error *err)
{
	struct link_holding *holding = calloc(1, sizeof(*holding));
	struct link_hints hints = { 0 };
	int ret;

	if (!holding)
		return error_no_memory(err, gguf_path(file->gguf));
	holding->claim = -1;
	holding->device = -1;
	holding->state.gap_bytes = gap_bytes;
	ret = kernel_device_open(&holding->device, err);
	if (ret == 0)
		ret = link_state_make_directory(directory, err);
	if (ret == 0)
		ret = set_names(holding, file, directory, err);
	if (ret == 0)
		ret = link_state_claim(holding->directory, holding->state.name, &holding->claim,
				       err);
	if (ret == 0)
		ret = link_hints_read(file, gap_bytes, &hints, err);
	if (ret == 0)
		ret = load(holding, file, policy, &hints, err);
	link_hints_free(&hints);
	if (ret < 0) {
		link_holding_end(holding);
		return ret;
	}
	*result = holding;
	return 0;
}

int link_holding_publish(struct link_holding *holding, pid_t pid, struct error *err)
{
	holding->state.pid = pid;
	return link_state_write(holding->claim, &holding->state, err);
}

const struct link_state *link_holding_state(const struct link_holding *holding)
{
	return &holding->state;
}

static void let_go(struct link_holding *holding)
{
	link_loader_close(holding->loader);
	if (holding->device >= 0)
		close(holding->device);
}

/* The lock goes last: who finds the file unlocked may rely on all the rest being gone. */
void link_holding_end(struct link_holding *holding)
{
	let_go(holding);
	if (holding->claim >= 0)
		link_state_release(holding->directory, holding->state.name, holding->claim);
	free(holding);
}

void link_holding_leave(struct link_holding *holding)
{
	let_go(holding);
	close(holding->claim);
	free(holding);
}
