// SPDX-License-Identifier: GPL-2.0-only
/*
 * A checkpoint directory: which of the forms it has, its files, one table of all
 * tensors, and reads through a fixed buffer.
 *
 * With an index, the index decides: exactly the tensors of its weight_map are the
 * checkpoint's, each taken from the shard named there; what else a shard holds
 * is left out. All shards stay open, so that a read never fails for a name.
 */
#define _GNU_SOURCE
#include "model/checkpoint.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "model/safetensors.h"
#include "model/tensor_convert.h"
#include "model/tensor_file.h"
#include "model/torch_file.h"

#define INDEX_LIMIT 100000000

/* Large enough that a read is one big I/O, small enough to stay in the L2 cache. */
#define BUFFER_SIZE (256 * 1024)

struct checkpoint {
	struct tensor_file **files;
	size_t n_files;
	const struct file_tensor **table; /* sorted by name */
	size_t n_tensors;
	uint8_t buffer[BUFFER_SIZE];
};

typedef int open_file(const char *path, struct tensor_file **file, struct error *err);

static const struct form {
	const char *name;
	bool is_index;
	open_file *open;
} forms[] = {
	{ "model.safetensors", false, safetensors_open },
	{ "model.safetensors.index.json", true, safetensors_open },
	{ "pytorch_model.bin", false, torch_file_open },
	{ "pytorch_model.bin.index.json", true, torch_file_open },
};

/* "directory/name", which the caller frees; NULL when out of memory. */
static char *join(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static int open_single(struct checkpoint *checkpoint, const char *path, open_file *open,
		       struct error *err)
{
	struct tensor_file *file;
	int ret;

	checkpoint->files = calloc(1, sizeof(*checkpoint->files));
	if (!checkpoint->files)
		return error_no_memory(err, path);
	ret = open(path, &file, err);
	if (ret < 0)
		return ret;
	checkpoint->files[checkpoint->n_files++] = file;
	checkpoint->table = calloc(file->n_tensors + 1, sizeof(*checkpoint->table));
	if (!checkpoint->table)
		return error_no_memory(err, path);
	for (size_t i = 0; i < file->n_tensors; i++)
		checkpoint->table[checkpoint->n_tensors++] = &file->tensors[i];
	return 0;
}

/* The shard's file, opened when it is asked for the first time. */
static int find_shard(struct checkpoint *checkpoint, const char *path, open_file *open,
		      struct tensor_file **file, struct error *err)
{
	struct tensor_file **files;
	int ret;

	for (size_t i = 0; i < checkpoint->n_files; i++) {
		*file = checkpoint->files[i];
		if (!strcmp((*file)->path, path))
			return 0;
	}
	files = reallocarray(checkpoint->files, checkpoint->n_files + 1, sizeof(*files));
	if (!files)
		return error_no_memory(err, path);
	checkpoint->files = files;
	ret = open(path, file, err);
	if (ret < 0)
		return ret;
	files[checkpoint->n_files++] = *file;
	return 0;
}

/* Shards lie beside their index; a name that leads elsewhere is refused. */
static bool is_plain_name(const char *name)
{
	return name && *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static int add_mapped(struct checkpoint *checkpoint, const char *directory, const char *index,
		      open_file *open, const char *tensor, const char *shard, struct error *err)
{
	const struct file_tensor *found;
	struct tensor_file *file;
	char *path;
	int ret;

	if (!is_plain_name(shard))
		return error_set(err, -EINVAL,
				 "%s: tensor \"%s\": \"%s\" is not the name of a file beside it",
				 index, tensor, shard ? shard : "");
	path = join(directory, shard);
	if (!path)
		return error_no_memory(err, index);
	ret = find_shard(checkpoint, path, open, &file, err);
	free(path);
	if (ret == -ENOENT)
		return error_set(err, ret, "%s: shard %s is missing; fetch the whole checkpoint",
				 index, shard);
	if (ret < 0)
		return ret;
	found = tensor_file_find(file, tensor);
	if (!found)
		return error_set(err, -EINVAL, "%s: tensor \"%s\" is not in %s", index, tensor,
				 shard);
	checkpoint->table[checkpoint->n_tensors++] = found;
	return 0;
}

static int compare_tensors(const void *a, const void *b)
{
	const struct file_tensor *const *left = a, *const *right = b;

	return strcmp((*left)->tensor.name, (*right)->tensor.name);
}

static int open_mapped(struct checkpoint *checkpoint, const char *directory, const char *index,
		       open_file *open, json_t *weight_map, struct error *err)
{
	const char *tensor;
	json_t *shard;

	if (!json_is_object(weight_map))
		return error_set(err, -EINVAL, "%s: \"weight_map\" is missing or no object", index);
	checkpoint->table = calloc(json_object_size(weight_map) + 1, sizeof(*checkpoint->table));
	if (!checkpoint->table)
		return error_no_memory(err, index);
	json_object_foreach(weight_map, tensor, shard) {
		int ret = add_mapped(checkpoint, directory, index, open, tensor,
				     json_string_value(shard), err);

		if (ret < 0)
			return ret;
	}
	if (checkpoint->n_tensors)
		qsort(checkpoint->table, checkpoint->n_tensors, sizeof(*checkpoint->table),
		      compare_tensors);
	return 0;
}

static int open_form(struct checkpoint *checkpoint, const char *directory, const char *path,
		     const struct form *form, struct error *err)
{
	json_t *index;
	int ret;

	if (!form->is_index) {
		ret = open_single(checkpoint, path, form->open, err);
	} else {
		ret = json_load_object(path, INDEX_LIMIT, &index, err);
		if (ret < 0)
			return ret;
		ret = open_mapped(checkpoint, directory, path, form->open,
				  json_object_get(index, "weight_map"), err);
		json_decref(index);
	}
	if (ret == 0 && !checkpoint->n_tensors)
		ret = error_set(err, -EINVAL, "%s: holds no tensors", path);
	return ret;
}

/* The path of the first form that is there, which the caller frees. */
static int find_form(const char *directory, const struct form **form, char **path,
		     struct error *err)
{
	struct stat st;

	if (stat(directory, &st) < 0)
		return error_set(err, -errno, "%s: %s", directory, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error_set(err, -ENOTDIR, "%s: not a directory", directory);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		*form = &forms[i];
		*path = join(directory, forms[i].name);
		if (!*path)
			return error_no_memory(err, directory);
		if (stat(*path, &st) == 0 || errno != ENOENT)
			return 0; /* opening it tells what is wrong, if anything is */
		free(*path);
	}
	return error_set(err, -ENOENT, "%s: no checkpoint: neither %s, %s, %s nor %s is there",
			 directory, forms[0].name, forms[1].name, forms[2].name, forms[3].name);
}

int checkpoint_open(const char *directory, struct checkpoint **checkpoint, struct error *err)
{
	struct checkpoint *opened;
	const struct form *form = NULL;
	char *path = NULL;
	int ret;

	ret = find_form(directory, &form, &path, err);
	if (ret < 0)
		return ret;
	opened = calloc(1, sizeof(*opened));
	if (opened)
		ret = open_form(opened, directory, path, form, err);
	else
		ret = error_no_memory(err, path);
	free(path);
	if (ret < 0) {
		checkpoint_close(opened);
		return ret;
	}
	*checkpoint = opened;
	return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	for (size_t i = 0; i < checkpoint->n_files; i++)
		checkpoint->files[i]->close(checkpoint->files[i]);
	free(checkpoint->files);
	free(checkpoint->table);
	free(checkpoint);
}

size_t checkpoint_count(const struct checkpoint *checkpoint)
{
	return checkpoint->n_tensors;
}

const struct checkpoint_tensor *checkpoint_at(const struct checkpoint *checkpoint, size_t i)
{
	return &checkpoint->table[i]->tensor;
}

const struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint,
						const char *name)
{
	size_t low = 0, high = checkpoint->n_tensors;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct checkpoint_tensor *tensor = checkpoint_at(checkpoint, middle);
		int order = strcmp(name, tensor->name);

		if (!order)
			return tensor;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Up to `count` elements from `first` on into the buffer; *n says how many came. */
static int fill_buffer(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
		       uint64_t first, uint64_t count, size_t *n, struct error *err)
{
	const struct file_tensor *stored = (const struct file_tensor *)tensor;
	size_t size = checkpoint_dtype_size(tensor->dtype);

	*n = count < BUFFER_SIZE / size ? count : BUFFER_SIZE / size;
	return stored->file->read(stored->file, stored, first * size, checkpoint->buffer, *n * size,
				  err);
}

static int check_request(const struct checkpoint_tensor *tensor, uint64_t first, uint64_t count,
			 struct error *err)
{
	if (tensor->dtype == CHECKPOINT_OTHER)
		return error_set(err, -EINVAL,
				 "%s: tensor \"%s\" is no F32, F16 or BF16 tensor of at most %d "
				 "dimensions and cannot be read",
				 tensor->file, tensor->name, CHECKPOINT_MAX_DIMS);
	if (first > tensor->n_elements || count > tensor->n_elements - first)
		return error_set(
			err, -EINVAL,
			"%s: tensor \"%s\" has %llu elements, %llu from number %llu on were "
			"asked for",
			tensor->file, tensor->name, (unsigned long long)tensor->n_elements,
			(unsigned long long)count, (unsigned long long)first);
	return 0;
}

int checkpoint_read_f32(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
			uint64_t first, uint64_t count, float *out, struct error *err)
{
	int ret = check_request(tensor, first, count, err);

	while (ret == 0 && count) {
		size_t n;

		ret = fill_buffer(checkpoint, tensor, first, count, &n, err);
		if (ret < 0)
			return ret;
		tensor_to_f32(tensor->dtype, checkpoint->buffer, n, out);
		out += n;
		first += n;
		count -= n;
	}
	return ret;
}

int checkpoint_read_f16(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
			uint64_t first, uint64_t count, uint16_t *out, struct error *err)
{
	int ret = check_request(tensor, first, count, err);

	while (ret == 0 && count) {
		size_t n, converted;

		ret = fill_buffer(checkpoint, tensor, first, count, &n, err);
		if (ret < 0)
			return ret;
		converted = tensor_to_f16(tensor->dtype, checkpoint->buffer, n, out);
		if (converted < n) {
			size_t size = checkpoint_dtype_size(tensor->dtype);
			float value;

			tensor_to_f32(tensor->dtype, checkpoint->buffer + converted * size, 1,
				      &value);
			return error_set(
				err, -ERANGE,
				"%s: tensor \"%s\": element %llu is %g, which float16 cannot "
				"hold",
				tensor->file, tensor->name, (unsigned long long)(first + converted),
				(double)value);
		}
		out += n;
		first += n;
		count -= n;
	}
	return ret;
}
