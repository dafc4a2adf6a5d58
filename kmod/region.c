// SPDX-License-Identifier: GPL-2.0-only
/*
 * Openers of the device and the regions they registered.
 *
 * All regions are in one table, so that BPF programs, which have no open device, can
 * name them. An opener sees its own only.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "private.h"

static unsigned int max_regions = 64;
module_param(max_regions, uint, 0644);
MODULE_PARM_DESC(max_regions, "Regions per open device (64)");

unsigned int colink_max_requests = 256;
module_param_named(max_requests, colink_max_requests, uint, 0644);
MODULE_PARM_DESC(max_requests, "Requests in flight per open device (256)");

unsigned int colink_max_extents = 4 * COLINK_MAX_EXTENTS;
module_param_named(max_extents, colink_max_extents, uint, 0644);
MODULE_PARM_DESC(max_extents, "Extents in flight per open device (262144)");

unsigned int colink_max_mib = 512;
module_param_named(max_mib, colink_max_mib, uint, 0644);
MODULE_PARM_DESC(max_mib, "MiB in flight per open device (512)");

/*
 * Regions by id. Changed under xa_lock; looked up under RCU, when a region counts only
 * if a reference could still be taken. next_id is xa_lock's too.
 */
static DEFINE_XARRAY_ALLOC1(regions);
static u32 next_id;

bool colink_quota_take(atomic_long_t *used, unsigned long n, unsigned long max)
{
	if ((unsigned long)atomic_long_add_return(n, used) <= max)
		return true;
	atomic_long_sub(n, used);
	return false;
}

struct colink_opener *colink_opener_new(void)
{
	struct colink_opener *opener = kzalloc(sizeof(*opener), GFP_KERNEL_ACCOUNT);

	if (opener)
		kref_init(&opener->refs);
	return opener;
}

static void opener_free(struct kref *refs)
{
	kfree(container_of(refs, struct colink_opener, refs));
}

/* Runs when no call on this open device is under way nor can be. */
void colink_opener_close(struct colink_opener *opener)
{
	struct colink_region *region;
	unsigned long id;

	xa_for_each(&regions, id, region)
		colink_region_unregister(opener, id);
	kref_put(&opener->refs, opener_free);
}

/* Only a file system that fills its page cache reads ahead: tmpfs, proc, sysfs, DAX do not. */
static int check_file(struct file *file)
{
	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	if (!S_ISREG(file_inode(file)->i_mode))
		return -EINVAL;
	if (IS_DAX(file->f_mapping->host) || !file->f_mapping->a_ops->readahead)
		return -EOPNOTSUPP;
	return 0;
}

static int check_layers(const struct colink_region *region)
{
	u32 i;

	for (i = 0; i < region->n_layers; i++) {
		const struct colink_layer *layer = &region->layers[i];
		u64 bytes = (u64)layer->stride * layer->slots;

		if (!bytes || layer->offset > MAX_LFS_FILESIZE ||
		    bytes > MAX_LFS_FILESIZE - layer->offset)
			return -ERANGE;
	}
	return 0;
}

static int copy_layers(struct colink_region *region, u64 layers)
{
	if (copy_from_user(region->layers, u64_to_user_ptr(layers),
			   array_size(region->n_layers, sizeof(region->layers[0]))))
		return -EFAULT;
	return check_layers(region);
}

/* The file and its geometry, as the caller gives them; says what BPF knows the file by. */
static int take_file(struct colink_region *region, struct colink_register *args)
{
	int error;

	region->file = fget(args->fd);
	if (!region->file)
		return -EBADF;
	error = check_file(region->file);
	if (!error)
		error = copy_layers(region, args->layers);
	if (error) {
		fput(region->file);
		return error;
	}
	args->inode = file_inode(region->file)->i_ino;
	args->device = file_inode(region->file)->i_sb->s_dev;
	return 0;
}

int colink_region_register(struct colink_opener *opener, struct colink_register *args)
{
	struct colink_region *region;
	int error, id;

	if (args->flags || args->reserved || args->n_layers > COLINK_MAX_LAYERS)
		return -EINVAL;
	if (!colink_quota_take(&opener->regions, 1, READ_ONCE(max_regions)))
		return -EDQUOT;

	/* The program chooses how large it is: no word in the log when it cannot be. */
	region = kvzalloc(struct_size(region, layers, args->n_layers),
			  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!region) {
		error = -ENOMEM;
		goto release_quota;
	}
	kref_init(&region->refs);
	region->gap_bytes = args->gap_bytes;
	region->n_layers = args->n_layers;
	error = take_file(region, args);
	if (error)
		goto free_region;

	kref_get(&opener->refs);
	region->opener = opener;
	/* Once it is in the table, another thread that guesses the id can end it. */
	kref_get(&region->refs);
	error = xa_alloc_cyclic(&regions, &region->id, region, XA_LIMIT(1, INT_MAX), &next_id,
				GFP_KERNEL_ACCOUNT);
	if (error < 0)
		goto put_opener;
	id = region->id;
	colink_region_put(region);
	return id;

put_opener:
	kref_put(&opener->refs, opener_free);
	fput(region->file);
free_region:
	kvfree(region);
release_quota:
	atomic_long_dec(&opener->regions);
	return error;
}

int colink_region_unregister(struct colink_opener *opener, unsigned long id)
{
	struct colink_region *region;

	xa_lock(&regions);
	region = xa_load(&regions, id);
	if (region && region->opener == opener)
		__xa_erase(&regions, id);
	else
		region = NULL;
	xa_unlock(&regions);
	if (!region)
		return -ENOENT;

	WRITE_ONCE(region->gone, true);
	atomic_long_dec(&opener->regions);
	colink_region_put(region);
	return 0;
}

/*
 * The opener's region of that id, or with no opener anybody's; NULL when there is none.
 * Called under RCU; good as long as that lasts.
 */
struct colink_region *colink_region_find(const struct colink_opener *opener, u32 id)
{
	struct colink_region *region = xa_load(&regions, id);

	return region && opener && region->opener != opener ? NULL : region;
}

struct colink_region *colink_region_get(const struct colink_opener *opener, u32 id)
{
	struct colink_region *region;

	rcu_read_lock();
	region = colink_region_find(opener, id);
	if (region && !kref_get_unless_zero(&region->refs))
		region = NULL;
	rcu_read_unlock();
	return region;
}

/* A line for each region, whoever registered it: "id major:minor inode layers name". */
void colink_regions_show(struct seq_file *out)
{
	struct colink_region *region;
	unsigned long id;

	xa_for_each(&regions, id, region) {
		const struct inode *inode;

		region = colink_region_get(NULL, id);
		if (!region)
			continue;
		inode = file_inode(region->file);
		seq_printf(out, "%lu %u:%u %lu %u %pD\n", id, MAJOR(inode->i_sb->s_dev),
			   MINOR(inode->i_sb->s_dev), inode->i_ino, region->n_layers,
			   region->file);
		colink_region_put(region);
	}
}

static void region_free(struct kref *refs)
{
	struct colink_region *region = container_of(refs, struct colink_region, refs);

	fput(region->file);
	kref_put(&region->opener->refs, opener_free);
	kvfree_rcu(region, rcu);
}

void colink_region_put(struct colink_region *region)
{
	kref_put(&region->refs, region_free);
}
