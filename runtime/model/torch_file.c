// SPDX-License-Identifier: GPL-2.0-only
/*
 * A torch.save()d state dict. The archive has one folder of any name, with
 *
 *	FOLDER/data.pkl		the dictionary, a pickle (pickle.h)
 *	FOLDER/data/KEY		one storage each: its elements, nothing else
 *	FOLDER/byteorder	"little" or "big"; not written before PyTorch 2.1
 *
 * and other entries, which are of no use here. A tensor is a view of a storage;
 * several tensors may share one. Only contiguous views are read.
 *
 * Files of PyTorch before 1.6 (bare pickles, before 0.1.10 tar) are refused.
 */
#define _GNU_SOURCE
#include "model/torch_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/pickle.h"
#include "model/zip_entry.h"

/* OPT-66B's pickle has some 200 KB. */
#define PICKLE_LIMIT (16 * 1024 * 1024)
#define BYTE_ORDER_LIMIT 16
#define KEY_LIMIT 255

struct torch_file {
	struct tensor_file base; /* first: close() and read() get a pointer to it */
	struct zip_reader zip;
	char *folder; /* without a slash */
};

static int torch_file_read(struct tensor_file *file, const struct file_tensor *tensor,
			   uint64_t offset, void *buffer, size_t length, struct error *err)
{
	struct torch_file *torch = (struct torch_file *)file;
	const char *name = tensor->tensor.name;

	return zip_reader_read(&torch->zip, tensor->entry, tensor->offset + offset, buffer, length,
			       name, err);
}

static void torch_file_close(struct tensor_file *file)
{
	struct torch_file *torch = (struct torch_file *)file;

	zip_reader_close(&torch->zip);
	free(torch->folder);
	tensor_file_release(file);
	free(torch);
}

/* Tell the forms that are no zip archives from garbage, for a better message. */
static int check_magic(const char *path, struct error *err)
{
	uint8_t head[512] = { 0 };
	uint64_t size;
	int fd, ret;

	fd = file_open_read(path, &size, err);
	if (fd < 0)
		return fd;
	ret = file_read_at(fd, head, size < sizeof(head) ? size : sizeof(head), 0, path, err);
	close(fd);
	if (ret < 0)
		return ret;
	if (!memcmp(head, "PK\3\4", 4))
		return 0;
	if (head[0] == 0x80 || !memcmp(head + 257, "ustar", 5))
		return error_set(err, -EINVAL,
				 "%s: written by PyTorch before 1.6; load it with a current one "
				 "and torch.save() it again",
				 path);
	return error_set(err, -EINVAL, "%s: not a torch.save()d file: no zip archive", path);
}

/* Find the one entry FOLDER/data.pkl; sets torch->folder. */
static int find_pickle(struct torch_file *torch, uint64_t *entry, struct error *err)
{
	zip_int64_t n = zip_get_num_entries(torch->zip.archive, 0);

	for (zip_int64_t i = 0; i < n; i++) {
		const char *name =
			zip_get_name(torch->zip.archive, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
		const char *slash = name ? strchr(name, '/') : NULL;

		if (!slash || strcmp(slash, "/data.pkl"))
			continue;
		if (torch->folder)
			return error_set(err, -EINVAL, "%s: two pickles: %s/data.pkl and %s",
					 torch->zip.path, torch->folder, name);
		torch->folder = strndup(name, (size_t)(slash - name));
		if (!torch->folder)
			return error_no_memory(err, torch->zip.path);
		*entry = (uint64_t)i;
	}
	if (!torch->folder)
		return error_set(err, -EINVAL, "%s: not a torch.save()d file: no data.pkl in it",
				 torch->zip.path);
	return 0;
}

/* *entry is negative when there is no FOLDER/name. */
static int find_entry(struct torch_file *torch, const char *name, size_t length, int64_t *entry,
		      struct error *err)
{
	zip_error_t *why = zip_get_error(torch->zip.archive);
	char *full;

	if (asprintf(&full, "%s/%.*s", torch->folder, (int)length, name) < 0)
		return error_no_memory(err, torch->zip.path);
	*entry = zip_name_locate(torch->zip.archive, full, 0);
	free(full);
	if (*entry < 0 && zip_error_code_zip(why) == ZIP_ER_MEMORY)
		return error_no_memory(err, torch->zip.path);
	return 0;
}

/* A whole entry, which the caller frees. */
static int load_entry(struct torch_file *torch, uint64_t entry, uint64_t limit, const char *what,
		      uint8_t **bytes, size_t *length, struct error *err)
{
	uint64_t size;
	int ret;

	ret = zip_reader_size(&torch->zip, entry, &size, err);
	if (ret < 0)
		return ret;
	if (!size || size > limit)
		return error_set(err, -EINVAL, "%s: %s has %llu bytes, 1 to %llu are expected",
				 torch->zip.path, what, (unsigned long long)size,
				 (unsigned long long)limit);
	*bytes = malloc(size);
	if (!*bytes)
		return error_no_memory(err, torch->zip.path);
	ret = zip_reader_read(&torch->zip, entry, 0, *bytes, size, what, err);
	if (ret < 0)
		free(*bytes);
	*length = size;
	return ret;
}

static int check_byte_order(struct torch_file *torch, struct error *err)
{
	static const char name[] = "byteorder";
	uint8_t *order;
	int64_t entry;
	size_t length;
	int ret;

	ret = find_entry(torch, name, strlen(name), &entry, err);
	if (ret < 0 || entry < 0)
		return ret;
	ret = load_entry(torch, (uint64_t)entry, BYTE_ORDER_LIMIT, name, &order, &length, err);
	if (ret < 0)
		return ret;
	if (length != strlen("little") || memcmp(order, "little", length))
		ret = error_set(
			err, -EINVAL,
			"%s: byte order \"%.*s\"; only \"little\" can be read, save the file "
			"on a little-endian machine",
			torch->zip.path, (int)length, (const char *)order);
	free(order);
	return ret;
}

/* The entry that holds a tensor's storage; it must be exactly as long as declared. */
static int find_storage(struct torch_file *torch, const struct pickle_tensor *from,
			struct file_tensor *tensor, struct error *err)
{
	const char *name = tensor->tensor.name;
	uint64_t size, expected;
	char key[sizeof("data/") + KEY_LIMIT];
	int64_t entry;
	int ret;

	if (from->storage_length > KEY_LIMIT || memchr(from->storage, '\0', from->storage_length))
		return error_set(err, -EINVAL,
				 "%s: tensor \"%s\": the key of its storage is no name",
				 torch->zip.path, name);
	snprintf(key, sizeof(key), "data/%.*s", (int)from->storage_length, from->storage);
	ret = find_entry(torch, key, strlen(key), &entry, err);
	if (ret < 0)
		return ret;
	if (entry < 0)
		return error_set(err, -EINVAL, "%s: tensor \"%s\": %s/%s is missing",
				 torch->zip.path, name, torch->folder, key);
	ret = zip_reader_size(&torch->zip, (uint64_t)entry, &size, err);
	if (ret < 0)
		return ret;
	if (__builtin_mul_overflow(from->storage_elements, from->element_size, &expected) ||
	    size != expected)
		return error_set(
			err, -EINVAL,
			"%s: tensor \"%s\": %s/%s has %llu bytes, not the %llu elements of "
			"%u bytes that it is said to have",
			torch->zip.path, name, torch->folder, key, (unsigned long long)size,
			(unsigned long long)from->storage_elements, from->element_size);
	tensor->entry = (uint64_t)entry;
	return 0;
}

static int add_tensor(struct torch_file *torch, const struct pickle_tensor *from, struct error *err)
{
	struct file_tensor *tensor = tensor_file_add(&torch->base, from->name, from->name_length);
	uint64_t end;

	if (!tensor)
		return error_no_memory(err, torch->zip.path);
	tensor->tensor.dtype = from->tensor.dtype;
	tensor->tensor.n_dims = from->tensor.n_dims;
	tensor->tensor.n_elements = from->tensor.n_elements;
	memcpy(tensor->tensor.dims, from->tensor.dims, sizeof(from->tensor.dims));
	if (tensor->tensor.dtype == CHECKPOINT_OTHER)
		return 0;
	if (!from->contiguous)
		return error_set(err, -EINVAL,
				 "%s: tensor \"%s\" is not contiguous; save it after .contiguous()",
				 torch->zip.path, tensor->tensor.name);
	if (__builtin_add_overflow(from->first_element, from->tensor.n_elements, &end) ||
	    end > from->storage_elements)
		return error_set(
			err, -EINVAL,
			"%s: tensor \"%s\": %llu elements from number %llu on are more than "
			"the %llu of its storage",
			torch->zip.path, tensor->tensor.name,
			(unsigned long long)from->tensor.n_elements,
			(unsigned long long)from->first_element,
			(unsigned long long)from->storage_elements);
	/* No overflow: find_storage() compares the whole storage with a real entry. */
	tensor->offset = from->first_element * from->element_size;
	return find_storage(torch, from, tensor, err);
}

static int load_state_dict(struct torch_file *torch, const char *path, struct error *err)
{
	struct pickle_tensor *tensors;
	uint64_t entry = 0;
	uint8_t *pickle;
	size_t length, n;
	int ret;

	ret = find_pickle(torch, &entry, err);
	if (ret < 0)
		return ret;
	ret = check_byte_order(torch, err);
	if (ret < 0)
		return ret;
	ret = load_entry(torch, entry, PICKLE_LIMIT, "data.pkl", &pickle, &length, err);
	if (ret < 0)
		return ret;
	ret = pickle_read_state_dict(pickle, length, path, &tensors, &n, err);
	if (ret < 0)
		goto free_pickle;
	ret = tensor_file_init(&torch->base, path, n, err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = add_tensor(torch, &tensors[i], err);
	if (ret == 0)
		ret = tensor_file_sort(&torch->base, err);
	free(tensors);
free_pickle:
	free(pickle);
	return ret;
}

int torch_file_open(const char *path, struct tensor_file **file, struct error *err)
{
	struct torch_file *torch;
	int ret;

	ret = check_magic(path, err);
	if (ret < 0)
		return ret;
	torch = calloc(1, sizeof(*torch));
	if (!torch)
		return error_no_memory(err, path);
	ret = zip_reader_open(&torch->zip, path, err);
	if (ret < 0) {
		free(torch);
		return ret;
	}
	torch->base.read = torch_file_read;
	torch->base.close = torch_file_close;
	ret = load_state_dict(torch, path, err);
	if (ret < 0) {
		torch_file_close(&torch->base);
		return ret;
	}
	*file = &torch->base;
	return 0;
}
